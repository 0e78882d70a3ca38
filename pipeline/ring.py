"""Large payloads on one host: a ring of slots in shared memory that the publisher owns.

The memory is a sealed memfd. A reader gets its descriptor once, over a unix socket beside the
endpoint, so that nothing has a name that could stay behind. Readers write nothing and cannot
hold up the writer: a slot is used again after `n_slots` payloads, and a reader that may have
been too slow sees it in the slot's generation.
"""

from __future__ import annotations

import fcntl
import math
import mmap
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from pipeline.error import BusError, OverwrittenError

PAGE_BYTES = 4096
RING_NAME = "sensorium-ring"  # as /proc shows it
MAGIC = 0x31474E4952534E53  # "SNSRING1"
# Page 0, as 64-bit words: magic, id of this arena, number of slots, bytes of a slot's payload.
N_HEAD_WORDS = 4
MAX_ARENA_BYTES = 2**32
SERVE_S = 1.0
# A reader is in the middle of its work: a publisher that does not answer at once is tried later.
ATTACH_S = 0.1
RETRY_S = 1.0
F_SEAL_FUTURE_WRITE = 0x10  # linux/fcntl.h; Python has no name for it

Words: TypeAlias = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a payload lies: which arena, which slot, and the generation that makes it valid."""

    arena: int
    slot: int
    generation: int
    size_bytes: int


class RingWriter:
    """The publisher's side; it never waits for a reader.

    `write` copies a payload into the next slot. Or `claim` lends the next slot, to be filled in
    place, and `commit` makes it whole; one that is never committed is skipped.
    """

    def __init__(self, payload_bytes: int, n_slots: int) -> None:
        stride = _stride(payload_bytes)
        size = PAGE_BYTES + n_slots * stride
        if size > MAX_ARENA_BYTES:
            raise BusError(f"{n_slots} pictures of {payload_bytes} bytes: lower the stream's bound")
        self.payload_bytes, self._n_slots = stride - PAGE_BYTES, n_slots
        self._id, self._n_claimed = secrets.randbits(63), 0
        self._claims: dict[int, tuple[int, int]] = {}
        self._fd = os.memfd_create(RING_NAME, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self._fd, size)
        self._memory = mmap.mmap(self._fd, size, mmap.MAP_SHARED | mmap.MAP_POPULATE)
        # The size never changes, and nobody but this mapping can write.
        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | F_SEAL_FUTURE_WRITE
        fcntl.fcntl(self._fd, fcntl.F_ADD_SEALS, seals)
        self._generations = _generations(self._memory, n_slots, stride)
        head = np.frombuffer(self._memory, np.uint64, N_HEAD_WORDS)
        head[:] = (MAGIC, self._id, n_slots, self.payload_bytes)

    def write(self, payload: memoryview) -> Place:
        """Copy a payload into the next slot."""
        slot, generation = self._next()
        start = _payload_at(slot, self.payload_bytes + PAGE_BYTES)
        self._memory[start : start + len(payload)] = payload
        return self._finish(slot, generation, len(payload))

    def claim(self, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
        """The next slot as a uint8 array, to be filled by whoever makes the payload."""
        slot, generation = self._next()
        start = _payload_at(slot, self.payload_bytes + PAGE_BYTES)
        array = np.frombuffer(self._memory, np.uint8, math.prod(shape), start).reshape(shape)
        self._claims[slot] = (generation, array.ctypes.data)
        return array

    def commit(self, array: npt.NDArray[np.uint8]) -> Place | None:
        """Make a claimed slot whole; None if the array is not that slot."""
        address = array.__array_interface__["data"][0]
        for slot, (generation, claimed) in self._claims.items():
            if claimed == address:
                del self._claims[slot]
                return self._finish(slot, generation, array.nbytes)
        return None

    def _next(self) -> tuple[int, int]:
        """The next slot, invalid from now on, and the generation that it will have when whole."""
        slot, generation = self._n_claimed % self._n_slots, 2 * self._n_claimed + 2
        self._n_claimed += 1
        self._claims.pop(slot, None)
        self._generations[slot] = generation - 1
        return slot, generation

    def _finish(self, slot: int, generation: int, size_bytes: int) -> Place:
        self._generations[slot] = generation
        return Place(self._id, slot, generation, size_bytes)

    def share(self, connection: socket.socket) -> None:
        """Hand the arena to a reader."""
        socket.send_fds(connection, [b"\0"], [self._fd])

    def close(self) -> None:
        """Let go of the arena; it lives on while a reader maps it."""
        os.close(self._fd)


class RingReader:
    """A reader's side of one arena. Raises OverwrittenError if it is not one of ours."""

    def __init__(self, fd: int) -> None:
        size = os.fstat(fd).st_size
        if not PAGE_BYTES <= size <= MAX_ARENA_BYTES:
            raise OverwrittenError(f"a shared memory of {size} bytes")
        self._memory = mmap.mmap(fd, size, mmap.MAP_SHARED | mmap.MAP_POPULATE, mmap.PROT_READ)
        head = [int(word) for word in np.frombuffer(self._memory, np.uint64, N_HEAD_WORDS)]
        magic, self.arena, self._n_slots, self._payload_bytes = head
        self._stride = self._payload_bytes + PAGE_BYTES
        if magic != MAGIC or PAGE_BYTES + self._n_slots * self._stride != size:
            raise OverwrittenError("a shared memory that is no ring")
        self._generations = _generations(self._memory, self._n_slots, self._stride)

    def view(self, place: Place) -> memoryview:
        """The payload, read-only, where it lies. Raises OverwrittenError."""
        if place.slot >= self._n_slots or place.size_bytes > self._payload_bytes:
            raise OverwrittenError("a place outside the ring")
        if not self.holds(place):
            raise OverwrittenError("the slot was used again")
        start = _payload_at(place.slot, self._stride)
        return memoryview(self._memory)[start : start + place.size_bytes]

    def holds(self, place: Place) -> bool:
        """Whether the slot still holds this payload: ask again after use."""
        return int(self._generations[place.slot]) == place.generation


class MappedRing:
    """The ring behind one endpoint, mapped when the first message points into it.

    A publisher that does not hand it over is asked again only after RETRY_S.
    """

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._ring: RingReader | None = None
        self._retry_s = 0.0

    def fetch(self, place: Place) -> tuple[memoryview, Callable[[], bool]]:
        """The payload, and what tells after use that it was whole. Raises OverwrittenError."""
        if self._ring is None or self._ring.arena != place.arena:
            self._ring = self._attach()
        if self._ring.arena != place.arena:
            raise OverwrittenError("the publisher has started anew")
        return self._ring.view(place), partial(self._ring.holds, place)

    def _attach(self) -> RingReader:
        if time.monotonic() < self._retry_s:
            raise OverwrittenError("its shared memory could not be reached a moment ago")
        try:
            return attach(self._endpoint)
        except OverwrittenError:
            self._retry_s = time.monotonic() + RETRY_S
            raise


class ArenaServer(threading.Thread):
    """Hands the publisher's arena to each reader that connects, once."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(name="ring", daemon=True)
        self._path = arena_socket(endpoint)
        self._path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self._path))
        self._listener.listen()
        self.ring: RingWriter | None = None
        self._in_use = threading.Lock()  # the descriptor must not be closed while it is handed over
        self._closing = threading.Event()
        self.start()

    def run(self) -> None:
        """Serve readers until `close`. A reader that hangs cannot hold others up for long."""
        while not self._closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                self._closing.wait(SERVE_S / 10)  # it was closed, or there is no descriptor left
                continue
            with connection, self._in_use:
                connection.settimeout(SERVE_S)
                self._share(connection)

    def _share(self, connection: socket.socket) -> None:
        try:
            if self.ring is not None:
                self.ring.share(connection)
        except OSError:
            return  # the reader went away

    def replace(self, ring: RingWriter) -> None:
        """Serve another ring from now on."""
        with self._in_use:
            old, self.ring = self.ring, ring
            if old is not None:
                old.close()

    def close(self) -> None:
        """Stop serving and remove the socket."""
        self._closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.join(2 * SERVE_S)
        if self.ring is not None:
            self.ring.close()
        self._path.unlink(missing_ok=True)


def attach(endpoint: str) -> RingReader:
    """Map the arena of the publisher at an endpoint. Raises OverwrittenError if it is gone."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(ATTACH_S)
            connection.connect(str(arena_socket(endpoint)))
            _, descriptors, _, _ = socket.recv_fds(connection, 1, 1)
    except OSError as error:
        raise OverwrittenError(f"{endpoint}: its shared memory is gone: {error}") from error
    if not descriptors:
        raise OverwrittenError(f"{endpoint}: its shared memory was not handed over")
    try:
        return RingReader(descriptors[0])
    finally:
        os.close(descriptors[0])


def arena_socket(endpoint: str) -> Path:
    """The unix socket beside an ipc endpoint; no longer than the endpoint's own path."""
    return Path(endpoint.removeprefix("ipc://")).with_suffix(".mem")


def _stride(payload_bytes: int) -> int:
    """A page for the generation, then the payload in whole pages."""
    return PAGE_BYTES + -(-payload_bytes // PAGE_BYTES) * PAGE_BYTES


def _payload_at(slot: int, stride: int) -> int:
    return PAGE_BYTES + slot * stride + PAGE_BYTES


def _generations(memory: mmap.mmap, n_slots: int, stride: int) -> Words:
    """The generation words: aligned and of the machine's width, so that each store is whole."""
    words: Words = np.ndarray((n_slots,), np.uint64, memory, PAGE_BYTES, (stride,))
    return words
