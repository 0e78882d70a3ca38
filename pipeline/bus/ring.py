"""Large payloads on one host: a ring of slots in shared memory that the publisher owns.

The memory is a sealed memfd. A reader gets its descriptor once, over a unix socket beside the
endpoint, so that nothing has a name that could stay behind. Readers write nothing and cannot
hold up the writer: a slot is used again after `n_slots` payloads, and a reader that may have
been too slow sees it in the slot's generation. A payload that has to be copied is announced
before its last part is: the readers wake up meanwhile, and wait for the rest.
"""

from __future__ import annotations

import fcntl
import itertools
import mmap
import os
import platform
import secrets
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pipeline.error import BusError, OverwrittenError
from pipeline.sample import Memory, UInt8Array

PAGE_BYTES = 4096
WORD_BYTES = 8
PAGE_WORDS = PAGE_BYTES // WORD_BYTES
RING_NAME = "sensorium-ring"  # as /proc shows it
MAGIC = 0x31474E4952534E53  # "SNSRING1"
# Page 0, as 64-bit words: magic, id of this arena, number of slots, bytes of a slot's payload.
N_HEAD_WORDS = 4
MAX_ARENA_BYTES = 2**32
SERVE_S = 1.0
# A reader is in the middle of its work: a publisher that does not answer at once is tried later.
ATTACH_S = 0.1
RETRY_S = 1.0
# The rest is copied in well under a millisecond, but a publisher may lose the processor in the
# middle: waits of 2 to 8 ms were seen, and one of over 20. A reader does nothing else meanwhile.
FILL_S = 0.1
SPIN_S = 1e-4  # the shortest sleep takes 70 us
FILL_POLL_S = 20e-6
LATE_BYTES = 2**20  # are copied about as fast as a reader wakes up
F_SEAL_FUTURE_WRITE = 0x10  # linux/fcntl.h; Python has no name for it


# x86 keeps the order of stores, and that of loads, by itself; ARM does not.
NEEDS_FENCE = platform.machine() not in ("x86_64", "AMD64")
_fence_lock = threading.Lock()


def fence() -> None:
    """What was stored or read before is so for whatever comes after.

    The second lock is taken after the first is released, and both are seen in this order.
    """
    with _fence_lock:
        pass
    with _fence_lock:
        pass


# +x is x. On cold memory this takes a tenth less time than memcpy (AMD EPYC, glibc 2.36).
_copy = np.positive


class Arena:
    """The mapped memory of a ring: page 0, then for each slot a page and its payload.

    The first word of a slot's page is its generation: odd while it is written. Words are aligned
    and of the machine's width, so that each store is whole.
    """

    __slots__ = ("_bytes", "_starts", "arrays", "id", "stride_words", "words")

    def __init__(self, memory: mmap.mmap, arena_id: int, n_slots: int, payload_bytes: int) -> None:
        self._bytes, self.id = memoryview(memory), arena_id
        self.words = self._bytes.cast("Q")
        stride_bytes = PAGE_BYTES + payload_bytes
        self.stride_words = stride_bytes // WORD_BYTES
        self._starts = [2 * PAGE_BYTES + index * stride_bytes for index in range(n_slots)]
        # {shape: the payload of each slot}. Kept: making one takes 20 us where all is cold.
        self.arrays: dict[tuple[int, ...], list[UInt8Array]] = {}

    def shaped(self, shape: tuple[int, ...]) -> list[UInt8Array]:
        """The payload of each slot as an array of this shape."""
        arrays = [np.ndarray(shape, np.uint8, self._bytes, start) for start in self._starts]
        self.arrays = {shape: arrays}
        return arrays


class Slot(Memory, frozen=True, eq=False, gc=False):
    """A payload in a ring: where it lies, and the generation that makes it valid.

    `at` is the word of its arena that holds the generation.
    """

    arena: Arena
    at: int
    index: int
    generation: int
    size_bytes: int

    def array(self, shape: tuple[int, ...]) -> UInt8Array:
        """The payload where it lies; a reader's is read-only."""
        try:
            return self.arena.arrays[shape][self.index]
        except KeyError:
            return self.arena.shaped(shape)[self.index]

    def fill(
        self, payload: UInt8Array, announce: Callable[[bytes], object], message: bytes
    ) -> None:
        """Copy the payload in, and make the slot whole; `announce` sends readers the message.

        That is done a little early: they wake up while the last rows are copied, and wait for them.
        """
        target = self.array(payload.shape)
        if self.size_bytes > LATE_BYTES:
            n_first = len(payload) - len(payload) * LATE_BYTES // self.size_bytes
            _copy(payload[:n_first], target[:n_first])
            payload, target = payload[n_first:], target[n_first:]
        announce(message)
        _copy(payload, target)
        if NEEDS_FENCE:
            fence()
        self.commit()

    def commit(self) -> bool:
        """Make the slot whole; False if it is not our turn to write in it."""
        words, at = self.arena.words, self.at
        if words[at] != self.generation - 1:
            return False
        words[at] = self.generation
        return True

    def wait(self) -> None:
        """Wait until the payload is whole. Raises OverwrittenError where it will not be."""
        began_s = time.monotonic()
        while self.arena.words[self.at] == self.generation - 1:
            waited_s = time.monotonic() - began_s
            if waited_s > FILL_S:
                raise OverwrittenError("its publisher stopped in the middle of it, or was late")
            if waited_s < SPIN_S:
                os.sched_yield()
            else:
                time.sleep(FILL_POLL_S)
        if self.arena.words[self.at] != self.generation:
            raise OverwrittenError("the slot was used again")

    def intact(self) -> bool:
        """Whether the slot still holds this payload: ask again after use."""
        if NEEDS_FENCE:
            fence()
        return self.arena.words[self.at] == self.generation


class RingWriter:
    """The publisher's side; it never waits for a reader.

    `claim` lends the next slot; it is whole once it is filled, or was filled in place and is
    committed, and is skipped if it never is.
    """

    def __init__(self, payload_bytes: int, n_slots: int) -> None:
        self.payload_bytes = -(-payload_bytes // PAGE_BYTES) * PAGE_BYTES
        size = PAGE_BYTES + n_slots * (PAGE_BYTES + self.payload_bytes)
        if size > MAX_ARENA_BYTES:
            raise BusError(f"{n_slots} pictures of {payload_bytes} bytes: lower the stream's bound")
        self._n_slots = n_slots
        self._claims = itertools.count()  # threads may claim at the same time
        self._fd = os.memfd_create(RING_NAME, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self._fd, size)
        memory = mmap.mmap(self._fd, size, mmap.MAP_SHARED | mmap.MAP_POPULATE)
        # The size never changes, and nobody but this mapping can write.
        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | F_SEAL_FUTURE_WRITE
        fcntl.fcntl(self._fd, fcntl.F_ADD_SEALS, seals)
        self._arena = Arena(memory, secrets.randbits(63), n_slots, self.payload_bytes)
        for at, word in enumerate((MAGIC, self._arena.id, n_slots, self.payload_bytes)):
            self._arena.words[at] = word

    def claim(self, size_bytes: int) -> Slot:
        """The next slot, invalid from now on."""
        n_before = next(self._claims)
        index, generation = n_before % self._n_slots, 2 * n_before + 2
        arena = self._arena
        at = PAGE_WORDS + index * arena.stride_words
        arena.words[at] = generation - 1
        if NEEDS_FENCE:
            fence()
        return Slot(arena, at, index, generation, size_bytes)

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
        memory = mmap.mmap(fd, size, mmap.MAP_SHARED | mmap.MAP_POPULATE, mmap.PROT_READ)
        head = memoryview(memory).cast("Q")[:N_HEAD_WORDS]
        magic, self.arena_id, self._n_slots, self._payload_bytes = head
        stride_bytes = PAGE_BYTES + self._payload_bytes
        if magic != MAGIC or PAGE_BYTES + self._n_slots * stride_bytes != size:
            raise OverwrittenError("a shared memory that is no ring")
        self._arena = Arena(memory, self.arena_id, self._n_slots, self._payload_bytes)

    def slot(self, index: int, generation: int, size_bytes: int) -> Slot:
        """The payload, read-only, where it lies. Raises OverwrittenError."""
        if index >= self._n_slots or size_bytes > self._payload_bytes:
            raise OverwrittenError("a place outside the ring")
        arena = self._arena
        at = PAGE_WORDS + index * arena.stride_words
        slot = Slot(arena, at, index, generation, size_bytes)
        if arena.words[at] != generation:
            slot.wait()
        if NEEDS_FENCE:
            fence()
        return slot


class MappedRing:
    """The ring behind one endpoint, mapped when the first message points into it.

    A publisher that does not hand it over is asked again only after RETRY_S.
    """

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._ring: RingReader | None = None
        self._retry_s = 0.0

    def fetch(self, arena_id: int, index: int, generation: int, size_bytes: int) -> Slot:
        """The payload where it lies. Raises OverwrittenError."""
        ring = self._ring
        if ring is None or ring.arena_id != arena_id:
            ring = self._ring = self._attach()
            if ring.arena_id != arena_id:
                raise OverwrittenError("the publisher has started anew")
        return ring.slot(index, generation, size_bytes)

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

    def replace(self, ring: RingWriter) -> RingWriter:
        """Serve this ring from now on."""
        with self._in_use:
            old, self.ring = self.ring, ring
            if old is not None:
                old.close()
        return ring

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
