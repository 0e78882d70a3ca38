"""Messages that must arrive at least once: kept until the broker has acknowledged them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TypeAlias

Message: TypeAlias = "tuple[str, bytes]"  # topic and payload
MAX_IN_FLIGHT = 20  # as many the client repeats by itself after a lost connection


class Outbox:
    """A queue with a bound in front of a client that sends a few at a time.

    When it is full the oldest that waits is dropped, and counted.
    """

    def __init__(self, bound: int, send: Callable[[Message], int | None]) -> None:
        """`send` returns the id under which the client acknowledges, None if it takes no more."""
        self._send = send
        self._waiting: deque[Message] = deque()
        self._bound = bound
        self._in_flight: set[int] = set()
        self._acknowledged: deque[int] = deque()  # by the client's thread
        self.n_dropped = self.n_acknowledged = 0

    def __len__(self) -> int:
        """How many the broker has not acknowledged."""
        return len(self._waiting) + len(self._in_flight)

    def put(self, message: Message) -> None:
        """Queue a message."""
        if len(self._waiting) >= self._bound:
            self._waiting.popleft()
            self.n_dropped += 1
        self._waiting.append(message)

    def acknowledge(self, message_id: int) -> None:
        """Note what the client's thread has heard, of this outbox or of others."""
        self._acknowledged.append(message_id)

    def step(self, connected: bool) -> None:
        """Take the acknowledgements in and hand on what fits."""
        while self._acknowledged:
            message_id = self._acknowledged.popleft()
            if message_id in self._in_flight:
                self._in_flight.remove(message_id)
                self.n_acknowledged += 1
        while connected and self._waiting and len(self._in_flight) < MAX_IN_FLIGHT:
            sent = self._send(self._waiting[0])
            if sent is None:
                return
            self._waiting.popleft()
            self._in_flight.add(sent)
