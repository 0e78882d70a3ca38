"""The receiving side of the bus: connects to the endpoints of all streams.

A `latest` stream keeps one message, the newest; a `queue` stream keeps all up to its bound.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import zmq

from pipeline.bus import wire
from pipeline.bus.inbox import Complaint, Inbox
from pipeline.bus.remote import RemoteLink
from pipeline.error import WireError
from pipeline.sample import Health, Sample
from pipeline.stream import Stream

RECONNECT_MS = 50
Socket: TypeAlias = "zmq.Socket[bytes]"


class Subscriber:
    """Connects to the endpoints of many streams: {stream: (endpoint, its line in the table)}.

    `ledgers` count each stream's samples; `health` holds the newest health of each process that
    reports on one of `health_endpoints`. Streams of other hosts have a link in `links`, and bear
    times of this host. An `observer` listens in, as a recorder does: a sensor that waits for a
    reader does not take it for one.
    """

    def __init__(
        self,
        table: Mapping[str, tuple[str, Stream]],
        health_endpoints: Sequence[str] = (),
        *,
        observer: bool = False,
    ) -> None:
        self._observer = observer
        self.health: dict[str, Health] = {}
        self._complain = Complaint("health")
        self.links: dict[str, RemoteLink] = {}
        self._context: zmq.Context[Socket] = zmq.Context()
        self._items: list[tuple[Any, int]] = []
        self._of: dict[Socket, Inbox] = {}
        self._handlers: dict[Socket, Callable[[], None]] = {}
        self._inboxes = {s: self._inbox(s, *where) for s, where in table.items()}
        self.ledgers = {stream: inbox.ledger for stream, inbox in self._inboxes.items()}
        if health_endpoints:
            health = self._connect(health_endpoints, b"health/")
            self.watch(health, partial(self._receive_health, health))

    def _inbox(self, stream: str, endpoint: str, line: Stream) -> Inbox:
        options = {zmq.RCVHWM: line.bound}
        if line.policy == "latest":
            # Newest wins: a low high-water mark would drop the newest instead.
            options = {zmq.CONFLATE: 1}
        if line.is_remote:
            link = self._link(stream, line, options)
            inbox = Inbox(stream, endpoint, line, link.samples.socket)
            inbox.follow(link)
        else:
            topic = wire.topic(stream, observer=self._observer)
            inbox = Inbox(stream, endpoint, line, self._connect([endpoint], topic, options))
        self._of[inbox.socket] = inbox
        self._items.append((inbox.socket, zmq.POLLIN))
        return inbox

    def _link(
        self, stream: str, line: Stream, options: Mapping[zmq.SocketOption, int]
    ) -> RemoteLink:
        """The connections of a stream of another host."""
        link = self.links[stream] = RemoteLink(self._context, stream, line, options)
        for socket, handle in link.handlers:
            self.watch(socket, handle)
        health = link.health.socket
        self.watch(health, partial(self._receive_health, health, link.speakers))
        return link

    def watch(self, socket: Socket, handle: Callable[[], None]) -> None:
        """Wait for another socket too; what comes there is for `handle`."""
        self._items.append((socket, zmq.POLLIN))
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
        ready: Any = zmq.zmq_poll(self._items, max(0, math.ceil(timeout_ms)))
        if self.links:
            for link in self.links.values():
                link.update()  # before its samples: they may be the first after a pause
        for socket, _ in ready:
            if (inbox := self._of.get(socket)) is None:
                self._handlers[socket]()
                continue
            for n_taken in range(inbox.n_visit):
                if n_taken and not inbox.has_more():
                    break
                if (sample := inbox.take()) is not None:
                    yield sample

    def epoch(self, stream: str) -> int:
        """Which run of its publisher the stream's last sample is of."""
        return self._inboxes[stream].epoch

    def _receive_health(
        self, socket: zmq.Socket[bytes], speakers: Collection[str] | None = None
    ) -> None:
        """Take in health; on a link only that of its own `speakers`."""
        while (message := _take(socket)) is not None:
            try:
                sample, _ = wire.decode(message)
            except WireError as error:
                self._complain(str(error))
                continue
            if isinstance(sample, Health) and (not speakers or sample.process in speakers):
                self.health[sample.process] = sample

    def refuse(self, stream: str, reason: str, why: str) -> None:
        """Count a sample that the node could not take, and say why, at most once a second."""
        self.ledgers[stream].refuse(reason)
        self._inboxes[stream].complain(why)

    def close(self) -> None:
        """Disconnect at once and let go of all shared memory."""
        self._context.destroy(linger=0)
        self._inboxes.clear()


def _take(socket: zmq.Socket[bytes]) -> bytes | None:
    """The next message that is already there."""
    try:
        return socket.recv(zmq.NOBLOCK)
    except zmq.Again:
        return None
