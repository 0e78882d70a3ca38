"""Asks a run for its status without waiting: one that is just ending does not answer any more."""

from __future__ import annotations

import time
from collections.abc import Mapping

import msgspec
import zmq

from pipeline.control import ProcessStatus, Reply, Request

PERIOD_NS = 250_000_000  # between two questions
_QUESTION = msgspec.json.encode(Request(command="status"))


class Asking:
    """`newest` is {name: status} of the last answer."""

    def __init__(self, endpoint: str) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.REQ)
        # A question may follow another that nobody has answered.
        self._socket.setsockopt(zmq.REQ_RELAXED, 1)
        self._socket.setsockopt(zmq.REQ_CORRELATE, 1)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.connect(endpoint)
        self._next_ns = 0
        self.newest: Mapping[str, ProcessStatus] = {}

    def step(self) -> None:
        """Take an answer that is there; ask again if it is time."""
        while self._socket.poll(0):
            reply = msgspec.json.decode(self._socket.recv(), type=Reply)
            self.newest = {process.name: process for process in reply.processes}
        now_ns = time.monotonic_ns()
        if now_ns >= self._next_ns and self._socket.poll(0, zmq.POLLOUT):
            self._next_ns = now_ns + PERIOD_NS
            self._socket.send(_QUESTION)

    def forget(self) -> None:
        """The run has ended."""
        self.newest = {}

    def close(self) -> None:
        """Ask no more."""
        self._context.destroy(linger=0)
