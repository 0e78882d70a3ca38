"""The receiving end of one stream: takes its messages, reads them, and keeps its ledger."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import TypeAlias

import zmq

from pipeline.bus import wire
from pipeline.bus.ledger import Ledger
from pipeline.bus.remote import RemoteLink
from pipeline.bus.ring import MappedRing
from pipeline.error import OverwrittenError, WireError
from pipeline.sample import Sample
from pipeline.stream import Policy, Stream

GAP_REASON: Mapping[Policy, str] = {"latest": "superseded", "queue": "queue_full"}
READABLE = int(zmq.POLLIN)
COMPLAINT_NS = 1_000_000_000
Socket: TypeAlias = "zmq.Socket[bytes]"

log = logging.getLogger(__name__)


class Complaint:
    """Says why something of a stream was dropped, at most once a second."""

    def __init__(self, stream: str) -> None:
        self._stream, self._said_ns = stream, 0

    def __call__(self, why: str) -> None:
        now_ns = time.monotonic_ns()
        if now_ns - self._said_ns >= COMPLAINT_NS:
            self._said_ns = now_ns
            log.warning("dropped stream=%s why=%s", self._stream, why)


class Inbox:
    """One stream's socket and ledger. With a `link` its samples come from another host."""

    def __init__(self, stream: str, endpoint: str, line: Stream, socket: Socket) -> None:
        self.ledger = Ledger(GAP_REASON[line.policy])
        self.socket = socket
        # A visit takes no more: a flood on one stream must not keep the others waiting.
        self.n_visit = 1 if line.policy == "latest" else line.bound
        self._link: RemoteLink | None = None
        self._stream = stream
        self._decoder = wire.Decoder(stream, MappedRing(endpoint).fetch)
        self.complain = Complaint(stream)

    def follow(self, link: RemoteLink) -> None:
        """Take the samples for those of another host: nothing lies in shared memory."""
        self._link, self._decoder = link, wire.Decoder(self._stream)

    @property
    def epoch(self) -> int:
        """Of the sample that came last: which run of its publisher it is of."""
        return self._decoder.epoch

    def has_more(self) -> bool:
        """Whether another message is there: an exception would take twice as long."""
        return bool(int(self.socket.getsockopt(zmq.EVENTS)) & READABLE)

    def take(self) -> Sample | None:
        """The message that is there, counted; None if it cannot be used."""
        data = self.socket.recv(zmq.NOBLOCK)
        try:
            sample = self._decoder.decode(data)
        except WireError as error:
            self._lose("malformed", error)
            return None
        except OverwrittenError as error:
            self._lose("overwritten", error)
            return None
        if self._link is not None:
            return self._localised(sample, self._link)
        return sample if self.ledger.arrive(self._decoder.epoch, sample.seq) else None

    def _localised(self, sample: Sample, link: RemoteLink) -> Sample | None:
        """The sample of another host with times of this one, once its clock is known."""
        if not self.ledger.arrive(self.epoch, sample.seq, link.take_gap_reason()):
            return None
        if (local := link.local(sample)) is None:
            self.ledger.refuse("no_clock")
        return local

    def _lose(self, reason: str, error: Exception) -> None:
        self.ledger.lose(reason)
        self.complain(str(error))
