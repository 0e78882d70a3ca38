"""The sending side of the bus: each sensor binds its own endpoint; there is no broker."""

from __future__ import annotations

import math
import os
import threading
import time
from pathlib import Path
from types import TracebackType

import numpy as np
import zmq

from pipeline.bus import wire
from pipeline.bus.ring import ArenaServer, RingWriter, Slot
from pipeline.error import BusError
from pipeline.run_directory import claim, private_directory
from pipeline.sample import OWN, Frame, Memory, Sample, UInt8Array

# A sender learns of what was read only now and then: with a bound of a few messages ZeroMQ would
# drop some that there was room for.
BOUND = 64
INLINE_BYTES = 16 * 1024  # larger pictures lie in shared memory, where the endpoint is local
COPY_BYTES = 64 * 1024  # below, ZeroMQ copies a message faster than it keeps track of it
RING_SLOTS = 8  # at 30 Hz a reader has 0.2 s for a frame
LENT_SLOTS = 4  # a source may hold so many pictures before it sends them
LINGER_MS = 500  # for the last health message of a process


class Publisher:
    """Binds one endpoint and sends samples; it stamps their `seq` and `t_publish_ns`.

    Pictures of an ipc endpoint lie in a ring of `slots`; on tcp they travel in the message.
    Raises BusError where the endpoint belongs to another process or cannot be bound.
    """

    def __init__(self, endpoint: str, *, bound: int = BOUND, slots: int = RING_SLOTS) -> None:
        self.endpoint = endpoint
        self.counts: dict[str, int] = {}
        self._epoch = time.monotonic_ns()
        self._came: set[bytes] = set()  # topics that were subscribed to, and nobody asked for yet
        self._slots = slots
        self._arenas: ArenaServer | None = None
        self._ring: RingWriter | None = None
        self._making = threading.Lock()
        self._lock = _claim(endpoint)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.XPUB)
        self._socket.setsockopt(zmq.LINGER, LINGER_MS)
        self._socket.setsockopt(zmq.SNDHWM, bound)
        # Without pyzmq's layer for draft features, which costs 10 us where all is cold.
        self._send = super(zmq.Socket, self._socket).send
        try:
            self._socket.bind(endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise BusError(f"{endpoint}: cannot be bound: {error}") from error

    def send(self, sample: Sample) -> None:
        """Stamp a sample and send it to whoever is subscribed, never waiting."""
        seq = self.counts.get(sample.stream, 0)
        stamp = (self._epoch, seq, time.monotonic_ns())
        if isinstance(sample, Frame) and (slot := self._slot(sample)) is not None:
            message = wire.encode_place(sample, stamp, slot)
            if slot is sample.memory:
                self._send(message)
            else:
                slot.fill(sample.pixels, self._send, message)
        elif len(message := wire.encode(sample, stamp)) < COPY_BYTES:
            self._send(message)
        else:
            self._send(message, copy=False)
        self.counts[sample.stream] = seq + 1

    def loan(self, shape: tuple[int, int, int]) -> tuple[UInt8Array, Memory]:
        """Pixels to make a picture in, and their memory: if it can be, one that is not copied.

        Both go into the Frame. The loan is good until `slots` more pictures were made.
        """
        size_bytes = math.prod(shape)
        if self._lock is None or size_bytes < INLINE_BYTES:
            return np.empty(shape, np.uint8), OWN
        slot = self._ring_for(size_bytes).claim(size_bytes)
        return slot.array(shape), slot

    def _slot(self, frame: Frame) -> Slot | None:
        """Where the pixels lie in the ring, if they were lent, or are to be copied to."""
        size_bytes = frame.pixels.nbytes
        if self._lock is None or size_bytes < INLINE_BYTES:
            return None
        slot = frame.memory
        if isinstance(slot, Slot) and slot.commit():
            return slot
        ring = self._ring
        if ring is None or ring.payload_bytes < size_bytes:
            ring = self._ring_for(size_bytes)
        return ring.claim(size_bytes)

    def _ring_for(self, size_bytes: int) -> RingWriter:
        """The ring, made with the first large payload and anew for a larger one."""
        ring = self._ring
        if ring is not None and ring.payload_bytes >= size_bytes:
            return ring
        with self._making:  # a camera's thread borrows while ours sends
            if self._ring is None or self._ring.payload_bytes < size_bytes:
                self._arenas = self._arenas or ArenaServer(self.endpoint)
                self._ring = self._arenas.replace(RingWriter(size_bytes, self._slots))
            return self._ring

    def wait_for_subscriber(self, stream: str, timeout_s: float, *, observer: bool = False) -> bool:
        """Wait until somebody, or an observer, has subscribed to a stream; told once."""
        topic, deadline = wire.topic(stream, observer=observer), time.monotonic() + timeout_s
        while topic not in self._came and (left_s := deadline - time.monotonic()) > 0:
            if self._socket.poll(int(left_s * 1000) + 1):
                message = self._socket.recv()
                change = self._came.add if message[:1] == b"\x01" else self._came.discard
                change(message[1:])
        came = topic in self._came
        self._came.discard(topic)
        return came

    def close(self) -> None:
        """Give the endpoint back; nothing stays on disk."""
        self._socket.close()
        self._context.term()
        if self._arenas is not None:
            self._arenas.close()
        if self._lock is not None:
            path, descriptor = self._lock
            for leftover in (path, path.with_suffix(".ipc")):
                leftover.unlink(missing_ok=True)
            os.close(descriptor)
            self._lock = None

    def __enter__(self) -> Publisher:
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self.close()


def _claim(endpoint: str) -> tuple[Path, int] | None:
    """Take the lock of an ipc endpoint: ZeroMQ itself would steal it from its owner.

    The kernel frees the lock with its process, however that ends.
    """
    scheme, _, address = endpoint.partition("://")
    if scheme != "ipc":
        return None
    path = Path(address).with_suffix(".lock")
    try:
        private_directory(path.parent)
        descriptor = claim(path)
    except BlockingIOError as error:
        raise BusError(f"{endpoint}: another process publishes here") from error
    except OSError as error:
        raise BusError(f"{path}: cannot be written: {error.strerror}; set run_dir") from error
    return path, descriptor
