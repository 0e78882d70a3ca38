"""The sending side of the bus: each sensor binds its own endpoint; there is no broker."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from types import TracebackType

import numpy as np
import zmq

from pipeline import wire
from pipeline.error import BusError
from pipeline.ring import ArenaServer, RingWriter
from pipeline.run_directory import claim, private_directory
from pipeline.sample import Frame, Sample, UInt8Array

# A sender learns of what was read only now and then: with a bound of a few messages ZeroMQ would
# drop some that there was room for.
BOUND = 64
INLINE_BYTES = 16 * 1024  # larger pictures lie in shared memory, where the endpoint is local
RING_SLOTS = 8  # at 30 Hz a reader has 0.2 s for a frame
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
        self._slots = slots
        self._arenas: ArenaServer | None = None
        self._lock = _claim(endpoint)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.XPUB)
        self._socket.setsockopt(zmq.LINGER, LINGER_MS)
        self._socket.setsockopt(zmq.SNDHWM, bound)
        try:
            self._socket.bind(endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise BusError(f"{endpoint}: cannot be bound: {error}") from error

    def send(self, sample: Sample) -> None:
        """Stamp a sample and send it to whoever is subscribed, never waiting."""
        seq = self.counts.get(sample.stream, 0)
        stamp = (self._epoch, seq, sample.t_capture_ns, time.monotonic_ns())
        header, payload = wire.parts(sample, stamp)
        if isinstance(sample, Frame) and len(payload) >= INLINE_BYTES and self._lock is not None:
            ring = self._ring(len(payload))
            place = ring.commit(sample.pixels) or ring.write(memoryview(payload))
            self._socket.send(wire.join(sample.stream, header, place))
        else:
            self._socket.send(wire.join(sample.stream, header, payload), copy=False)
        self.counts[sample.stream] = seq + 1

    def loan(self, shape: tuple[int, int, int]) -> UInt8Array:
        """An array to make a picture in: where it can be, one that `send` need not copy.

        It is good for as long as `slots` more have not been lent.
        """
        if self._lock is None or math.prod(shape) < INLINE_BYTES:
            return np.empty(shape, np.uint8)
        return self._ring(math.prod(shape)).claim(shape)

    def _ring(self, size_bytes: int) -> RingWriter:
        """The ring, made with the first large payload and anew for a larger one."""
        if self._arenas is None:
            self._arenas = ArenaServer(self.endpoint)
        ring = self._arenas.ring
        if ring is None or ring.payload_bytes < size_bytes:
            self._arenas.replace(RingWriter(size_bytes, self._slots))
        assert self._arenas.ring is not None
        return self._arenas.ring

    def wait_for_subscriber(self, stream: str, timeout_s: float) -> bool:
        """Wait until somebody has subscribed to a stream."""
        deadline = time.monotonic() + timeout_s
        while (left_s := deadline - time.monotonic()) > 0:
            came = self._socket.poll(int(left_s * 1000) + 1)
            if came and self._socket.recv() == b"\x01" + wire.topic(stream):
                return True
        return False

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
