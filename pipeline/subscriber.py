"""The receiving side of the bus: connects to the endpoints of all streams, and counts losses.

A `latest` stream keeps one message, the newest; a `queue` stream keeps all up to its bound.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial

import zmq

from pipeline import wire
from pipeline.config import Policy, Stream
from pipeline.error import OverwrittenError, WireError
from pipeline.ledger import Ledger
from pipeline.remote import RemoteLink
from pipeline.ring import MappedRing
from pipeline.sample import Health, Sample

log = logging.getLogger(__name__)

RECONNECT_MS = 50
GAP_REASON: Mapping[Policy, str] = {"latest": "superseded", "queue": "queue_full"}


class Subscriber:
    """Connects to the endpoints of many streams: {stream: (endpoint, its line in the table)}.

    `ledgers` count each stream's samples; `health` holds the newest health of each process that
    reports on one of `health_endpoints`. Streams of other hosts have a link in `links`, and bear
    times of this host.
    """

    def __init__(
        self, table: Mapping[str, tuple[str, Stream]], health_endpoints: Sequence[str] = ()
    ) -> None:
        self.ledgers = {name: Ledger(GAP_REASON[line.policy]) for name, (_, line) in table.items()}
        self.health: dict[str, Health] = {}
        self._last_error_ns: dict[str, int] = {}
        self._rings = {stream: MappedRing(endpoint) for stream, (endpoint, _) in table.items()}
        self._bounds = {stream: line.bound for stream, (_, line) in table.items()}
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._poller = zmq.Poller()
        self._streams: dict[zmq.Socket[bytes], str] = {}
        self._handlers: dict[zmq.Socket[bytes], Callable[[], None]] = {}
        self.links: dict[str, RemoteLink] = {}
        for name, (endpoint, line) in table.items():
            self._add(name, endpoint, line)
        health = self._connect(health_endpoints, b"health/")
        self.watch(health, partial(self._receive_health, health))

    def _add(self, name: str, endpoint: str, line: Stream) -> None:
        options = {zmq.RCVHWM: line.bound}
        if line.policy == "latest":
            # Newest wins: a low high-water mark would drop the newest instead.
            options = {zmq.CONFLATE: 1}
        if line.is_remote:
            socket = self._link(name, line, options)
        else:
            socket = self._connect([endpoint], wire.topic(name), options)
        self._poller.register(socket, zmq.POLLIN)
        self._streams[socket] = name

    def _link(
        self, name: str, line: Stream, options: Mapping[zmq.SocketOption, int]
    ) -> zmq.Socket[bytes]:
        """The socket of a stream of another host."""
        link = self.links[name] = RemoteLink(self._context, name, line, options)
        for socket, handle in link.handlers:
            self.watch(socket, handle)
        health = link.health.socket
        self.watch(health, partial(self._receive_health, health, link.speakers))
        return link.samples.socket

    def watch(self, socket: zmq.Socket[bytes], handle: Callable[[], None]) -> None:
        """Wait for another socket too; what comes there is for `handle`."""
        self._poller.register(socket, zmq.POLLIN)
        self._handlers[socket] = handle

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
        return socket

    def receive(self, timeout_ms: float) -> Iterator[Sample]:
        """Wait for something to come, then yield all that is there, one of each `latest`."""
        for message in self.messages(timeout_ms):
            yield message.sample

    def messages(self, timeout_ms: float) -> Iterator[wire.Message]:
        """The same, with what a message says of its publisher."""
        ready = self._poller.poll(max(0, math.ceil(timeout_ms)))
        for link in self.links.values():
            link.update()  # before its samples: they may be the first after a pause
        for socket, _ in ready:
            if (handle := self._handlers.get(socket)) is not None:
                handle()
            else:
                yield from self._drain(socket, self._streams[socket])

    def _drain(self, socket: zmq.Socket[bytes], stream: str) -> Iterator[wire.Message]:
        ledger, link = self.ledgers[stream], self.links.get(stream)
        fetch = wire.no_ring if link else self._rings[stream].fetch
        # No more than a queue holds: a flood on one stream must not keep the others waiting.
        for _ in range(self._bounds[stream]):
            if (message := _take(socket)) is None:
                return
            try:
                decoded = wire.decode(message, fetch)
            except (WireError, OverwrittenError) as error:
                ledger.lose("malformed" if isinstance(error, WireError) else "overwritten")
                self._complain(stream, str(error))
                continue
            reason = link.take_gap_reason() if link else ""
            if not ledger.arrive(decoded.epoch, decoded.sample.seq, reason):
                continue
            if link is None:
                yield decoded
            elif (local := link.local(decoded.sample)) is not None:
                yield wire.Message(local, decoded.epoch)
            else:
                ledger.refuse("no_clock")

    def _receive_health(
        self, socket: zmq.Socket[bytes], speakers: Collection[str] | None = None
    ) -> None:
        """Take in health; on a link only that of its own `speakers`."""
        while (message := _take(socket)) is not None:
            try:
                sample = wire.decode(message).sample
            except WireError as error:
                self._complain("health", str(error))
                continue
            if isinstance(sample, Health) and (not speakers or sample.process in speakers):
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
        """Disconnect at once and let go of all shared memory."""
        self._context.destroy(linger=0)
        self._rings.clear()


def _take(socket: zmq.Socket[bytes]) -> bytes | None:
    """The next message that is already there."""
    try:
        return socket.recv(zmq.NOBLOCK)
    except zmq.Again:
        return None
