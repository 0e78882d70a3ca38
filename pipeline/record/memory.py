"""The last seconds of a run, in memory: what an incident has before its trigger."""

from __future__ import annotations

from collections import deque

from pipeline.log.codec import Encoded
from pipeline.record.writing import size_bytes


class Memory:
    """Keeps the messages of the last `span_ns`, of at most `limit_bytes`: the oldest go first.

    `n_dropped` counts those of the last `span_ns` that went before their time.
    """

    def __init__(self, span_ns: int, limit_bytes: int) -> None:
        self._span_ns, self._limit_bytes = span_ns, limit_bytes
        self._messages: deque[Encoded] = deque()
        self._dropped_ns: deque[int] = deque()
        self._size_bytes = 0

    def add(self, message: Encoded, now_ns: int) -> None:
        """Keep a message, and forget what is too old or too much."""
        self._messages.append(message)
        self._size_bytes += size_bytes(message)
        start_ns = now_ns - self._span_ns
        while self._messages and self._messages[0].t_publish_ns < start_ns:
            self._forget()
        while self._size_bytes > self._limit_bytes:
            self._dropped_ns.append(self._messages[0].t_publish_ns)
            self._forget()
        while self._dropped_ns and self._dropped_ns[0] < start_ns:
            self._dropped_ns.popleft()

    @property
    def n_dropped(self) -> int:
        return len(self._dropped_ns)

    def since(self, start_ns: int) -> list[Encoded]:
        """What was published at or after `start_ns`, in the order in which it came."""
        return [message for message in self._messages if message.t_publish_ns >= start_ns]

    def _forget(self) -> None:
        self._size_bytes -= size_bytes(self._messages.popleft())
