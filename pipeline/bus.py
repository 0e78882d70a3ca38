"""The bus: each sensor binds its own endpoint, and whoever wants its samples connects to it.

There is no broker. A `latest` stream keeps one message, the newest; a `queue` stream keeps them
all up to its bound. Every loss is counted in the subscriber's ledger.
"""

from __future__ import annotations

import fcntl
import logging
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import numpy as np
import zmq

from pipeline import wire
from pipeline.config import Policy, Stream
from pipeline.error import BusError, OverwrittenError, WireError
from pipeline.ledger import Ledger
from pipeline.ring import ArenaServer, Place, RingReader, RingWriter, attach
from pipeline.sample import Frame, Health, Sample, UInt8Array

log = logging.getLogger(__name__)
AnySample = TypeVar("AnySample", bound=Sample)

# A sender learns of what was read only now and then: with a bound of a few messages ZeroMQ would
# drop some that there was room for.
BOUND = 64
INLINE_BYTES = 16 * 1024  # larger pictures lie in shared memory, where the endpoint is local
RING_SLOTS = 8  # at 30 Hz a reader has 0.2 s for a frame
LINGER_MS = 500  # for the last health message of a process
RECONNECT_MS = 50
GAP_REASON: Mapping[Policy, str] = {"latest": "superseded", "queue": "queue_full"}


def health_stream(stream: str) -> str:
    """The topic under which the process of a stream reports its health."""
    return f"health/{stream}"


class Publisher:
    """Binds one endpoint and sends samples; it stamps their `seq` and `t_publish_ns`.

    Pictures of an ipc endpoint lie in a ring of `slots`; on tcp they travel in the message.
    Raises BusError where the endpoint belongs to another process or cannot be bound.
    """

    def __init__(
        self, endpoint: str, *, bound: int = BOUND, slots: int = RING_SLOTS
    ) -> None:
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

    def send(self, sample: AnySample) -> AnySample:
        """Send a sample to whoever is subscribed, never waiting; returns it as it was stamped."""
        seq = self.counts.get(sample.stream, 0)
        stamped = replace(sample, seq=seq, t_publish_ns=time.monotonic_ns())
        header, payload = wire.parts(stamped, self._epoch)
        if isinstance(sample, Frame) and len(payload) >= INLINE_BYTES and self._lock is not None:
            ring = self._ring(len(payload))
            place = ring.commit(sample.pixels) or ring.write(memoryview(payload))
            self._socket.send(wire.join(sample.stream, header, place))
        else:
            self._socket.send(wire.join(sample.stream, header, payload), copy=False)
        self.counts[sample.stream] = seq + 1
        return stamped

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


class Subscriber:
    """Connects to the endpoints of many streams: {stream: (endpoint, its line in the table)}.

    `ledgers` count each stream's samples; `health` holds the newest health of each process that
    reports on one of `health_endpoints`.
    """

    def __init__(
        self, table: Mapping[str, tuple[str, Stream]], health_endpoints: Sequence[str] = ()
    ) -> None:
        self.ledgers = {name: Ledger(GAP_REASON[line.policy]) for name, (_, line) in table.items()}
        self.health: dict[str, Health] = {}
        self._last_error_ns: dict[str, int] = {}
        self._endpoints = {stream: endpoint for stream, (endpoint, _) in table.items()}
        self._rings: dict[str, RingReader] = {}
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._poller = zmq.Poller()
        self._streams: dict[zmq.Socket[bytes], str] = {}
        for name, (endpoint, line) in table.items():
            self._add(name, endpoint, line)
        self._health = self._connect(health_endpoints, b"health/")

    def _add(self, name: str, endpoint: str, line: Stream) -> None:
        options = {zmq.RCVHWM: line.bound}
        if line.policy == "latest":
            # Newest wins: a low high-water mark would drop the newest instead.
            options = {zmq.CONFLATE: 1}
        self._streams[self._connect([endpoint], wire.topic(name), options)] = name

    def _connect(
        self,
        endpoints: Sequence[str],
        prefix: bytes,
        options: Mapping[zmq.SocketOption, int] | None = None,
    ) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.SUB)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.MAXMSGSIZE, wire.MAX_MESSAGE_BYTES)
        socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
        for option, value in (options or {}).items():
            socket.setsockopt(option, value)
        socket.setsockopt(zmq.SUBSCRIBE, prefix)
        for endpoint in endpoints:
            socket.connect(endpoint)
        self._poller.register(socket, zmq.POLLIN)
        return socket

    def receive(self, timeout_ms: float) -> Iterator[Sample]:
        """Wait for something to come, then yield all that is there, one of each `latest`."""
        for socket, _ in self._poller.poll(max(0, math.ceil(timeout_ms))):
            if socket is self._health:
                self._receive_health()
            else:
                yield from self._drain(socket, self._streams[socket])

    def _drain(self, socket: zmq.Socket[bytes], stream: str) -> Iterator[Sample]:
        ledger, fetch = self.ledgers[stream], partial(self._fetch, stream)
        while (message := _take(socket)) is not None:
            try:
                decoded = wire.decode(message, fetch)
            except (WireError, OverwrittenError) as error:
                ledger.lose("malformed" if isinstance(error, WireError) else "overwritten")
                self._complain(stream, str(error))
                continue
            if ledger.arrive(decoded.epoch, decoded.sample.seq):
                yield decoded.sample

    def _fetch(self, stream: str, place: Place) -> wire.Payload:
        """A payload in the ring of the stream's publisher, which is mapped once."""
        ring = self._rings.get(stream)
        if ring is None or ring.arena != place.arena:
            ring = self._rings[stream] = attach(self._endpoints[stream])
        if ring.arena != place.arena:
            raise OverwrittenError("the publisher has started anew")
        return wire.Payload(ring.view(place), partial(ring.holds, place))

    def _receive_health(self) -> None:
        while (message := _take(self._health)) is not None:
            try:
                sample = wire.decode(message).sample
            except WireError as error:
                self._complain("health", str(error))
                continue
            if isinstance(sample, Health):
                self.health[sample.process] = sample

    def refuse(self, stream: str, reason: str, why: str) -> None:
        """Count a sample that the node could not take, and say why, at most once a second."""
        self.ledgers[stream].refuse(reason)
        self._complain(stream, why)

    def _complain(self, stream: str, why: str) -> None:
        now_ns = time.monotonic_ns()
        if now_ns - self._last_error_ns.get(stream, 0) >= 1_000_000_000:
            self._last_error_ns[stream] = now_ns
            log.warning("dropped stream=%s why=%s", stream, why)

    def close(self) -> None:
        """Disconnect at once."""
        self._context.destroy(linger=0)


def _take(socket: zmq.Socket[bytes]) -> bytes | None:
    """The next message that is already there."""
    try:
        return socket.recv(zmq.NOBLOCK)
    except zmq.Again:
        return None


def _claim(endpoint: str) -> tuple[Path, int] | None:
    """Take the lock of an ipc endpoint: ZeroMQ itself would steal it from its owner.

    The kernel frees the lock with its process, however that ends.
    """
    scheme, _, address = endpoint.partition("://")
    if scheme != "ipc":
        return None
    path = Path(address).with_suffix(".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise BusError(f"{path}: cannot be written: {error.strerror}; set run_dir") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise BusError(f"{endpoint}: another process publishes here") from error
    return path, descriptor
