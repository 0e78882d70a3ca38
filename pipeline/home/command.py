"""The commands that events send: enabled ones only, each at most once in its interval."""

from __future__ import annotations

from collections.abc import Sequence

import zmq

from pipeline.event.event import Event
from pipeline.home.link import Link
from pipeline.home.template import fill, values_of
from pipeline.outlet import Action

ZMQ_BOUND = 16


class Push:
    """A ZeroMQ PUSH socket that sends now or never: an old command is worse than none."""

    def __init__(self, endpoint: str) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.PUSH)
        self._socket.setsockopt(zmq.IMMEDIATE, 1)  # nothing waits for a connection
        self._socket.setsockopt(zmq.SNDHWM, ZMQ_BOUND)
        self._socket.setsockopt(zmq.LINGER, 200)
        self._socket.connect(endpoint)

    def send(self, payload: bytes) -> bool:
        """Whether somebody is there to take it."""
        try:
            self._socket.send(payload, zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def close(self) -> None:
        """Let go of the socket, after what was sent has left."""
        self._socket.close()
        self._context.term()


class Commands:
    """All enabled actions of a run. `link` is there if one of them has a topic."""

    def __init__(
        self, actions: Sequence[Action], run: str, offset_ns: int, link: Link | None
    ) -> None:
        self._actions = [action for action in actions if action.enabled]
        self._run, self._offset_ns, self._link = run, offset_ns, link
        endpoints = {action.endpoint for action in self._actions if action.endpoint}
        self._pushes = {endpoint: Push(endpoint) for endpoint in endpoints}
        self._next_ns = [0] * len(self._actions)
        self.counters = {"commands.sent": 0, "commands.limited": 0, "commands.unsent": 0}

    def happened(self, event: Event, now_ns: int) -> None:
        """Send the commands of an event, each counted as sent, limited or unsent."""
        values = values_of(event, self._run, self._offset_ns)
        for number, action in enumerate(self._actions):
            if (action.event, action.on) != (event.name, event.phase):
                continue
            if now_ns < self._next_ns[number]:
                self.counters["commands.limited"] += 1
            elif self._send(action, fill(action.payload, values)):
                self._next_ns[number] = now_ns + round(action.min_interval_s * 1e9)
                self.counters["commands.sent"] += 1
            else:
                self.counters["commands.unsent"] += 1

    def close(self) -> None:
        """Let go of all sockets."""
        for push in self._pushes.values():
            push.close()

    def _send(self, action: Action, payload: bytes) -> bool:
        if action.endpoint:
            return self._pushes[action.endpoint].send(payload)
        return self._link is not None and self._link.command(action.topic, payload, action.qos)
