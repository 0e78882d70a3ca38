"""Round trips between two hosts' clocks: the relay answers on its own port, each reader asks."""

from __future__ import annotations

import secrets
import struct
import time
from collections import deque

import zmq

from pipeline.bus.peer_clock import PeerClock, RoundTrip
from pipeline.bus.tcp import Connection, Context, Listener, Options

# Version and the asker's time; the answer has both again, then which run of the relay answered,
# and its times of receipt and of answering.
_QUESTION = struct.Struct("<Bq")
_ANSWER = struct.Struct("<BqQqq")
VERSION = 1
MAX_BYTES = 2048  # the handshake of CURVE counts too, and is larger than what we send
N_WAITING = 8  # questions and answers that may be under way
FAST_NS, SLOW_NS = 100_000_000, 1_000_000_000
N_FAST = 10  # questions before the slow rate


class ClockServer:
    """Answers with this host's time; junk gets no answer."""

    def __init__(self, context: Context, endpoint: str, options: Options) -> None:
        limits: Options = {zmq.MAXMSGSIZE: MAX_BYTES, zmq.SNDHWM: N_WAITING}
        self.listener = Listener(context, zmq.ROUTER, endpoint, {**limits, **options})
        self._run = secrets.randbits(63)

    def serve(self) -> None:
        """Answer what has been asked."""
        socket = self.listener.socket
        while socket.poll(0):
            peer, *parts = socket.recv_multipart()
            got_ns = time.monotonic_ns()
            if len(parts) != 1 or len(parts[0]) != _QUESTION.size:
                continue
            version, asked_ns = _QUESTION.unpack(parts[0])
            if version == VERSION:
                answer = _ANSWER.pack(VERSION, asked_ns, self._run, got_ns, time.monotonic_ns())
                socket.send_multipart([peer, answer])


class ClockClient:
    """Asks ten times a second at first, then once a second, and keeps the clock of the peer."""

    def __init__(self, context: Context, endpoint: str, options: Options) -> None:
        # Questions do not wait for a connection: an answer to an old one says little.
        limits: Options = {zmq.MAXMSGSIZE: MAX_BYTES, zmq.SNDHWM: N_WAITING, zmq.IMMEDIATE: 1}
        self.connection = Connection(context, zmq.DEALER, endpoint, {**limits, **options})
        self.clock = PeerClock()
        self._asked_ns: deque[int] = deque(maxlen=N_WAITING)
        self._run = self._n_answers = self._next_ns = 0

    def forget(self) -> None:
        """Know nothing of the peer's clock until the next answer."""
        self.clock.forget()
        self._asked_ns.clear()
        self._n_answers = self._next_ns = 0

    def ask(self) -> None:
        """Send a question, if one is due and somebody is there."""
        now_ns = time.monotonic_ns()
        if now_ns < self._next_ns or not self.connection.socket.poll(0, zmq.POLLOUT):
            return
        self._next_ns = now_ns + (FAST_NS if self._n_answers < N_FAST else SLOW_NS)
        asked_ns = time.monotonic_ns()
        self._asked_ns.append(asked_ns)
        self.connection.socket.send(_QUESTION.pack(VERSION, asked_ns), zmq.NOBLOCK)

    def receive(self) -> None:
        """Take in the answers that have come to questions of ours."""
        socket = self.connection.socket
        while socket.poll(0):
            parts = socket.recv_multipart()
            back_ns = time.monotonic_ns()
            if len(parts) != 1 or len(parts[0]) != _ANSWER.size:
                continue
            version, asked_ns, run, got_ns, answered_ns = _ANSWER.unpack(parts[0])
            if version != VERSION or asked_ns not in self._asked_ns:
                continue
            if run != self._run:
                self.clock.forget()  # a new relay may mean that its host was started anew
            self._run, self._n_answers = run, self._n_answers + 1
            self._asked_ns.remove(asked_ns)
            self.clock.add(RoundTrip(asked_ns, got_ns, answered_ns, back_ns))
