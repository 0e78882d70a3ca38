"""Writes messages in a thread of its own: a slow disk costs messages, which are counted."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Protocol, TypeAlias

from pipeline.log.codec import Encoded
from pipeline.log.form import LogError

QUEUE_BYTES = 64 * 2**20  # a second of full HD
Notes: TypeAlias = Mapping[str, Mapping[str, str]]


class Log(Protocol):
    """What is written to: one file, or a row of them."""

    def append(self, message: Encoded) -> None: ...

    def close(self, notes: Notes) -> None: ...


class Writing:
    """A log that is written from a queue. The first error ends it, and stays in `error`.

    `lost` counts, by stream, the messages that were taken but never written.
    """

    def __init__(self, target: Log, bound_bytes: int = QUEUE_BYTES) -> None:
        self._log, self._bound_bytes = target, bound_bytes
        self._queue: deque[Encoded] = deque()
        self._queued_bytes = 0
        self._changed = threading.Condition()
        self._notes: Notes | None = None
        self.error = ""
        self.lost: Counter[str] = Counter()
        # A daemon: a disk that never answers must not keep the process from ending.
        self._thread = threading.Thread(target=self._work, name="writing", daemon=True)
        self._thread.start()

    def put(self, message: Encoded) -> bool:
        """Queue a message; False if there is no room, or nothing is written any more."""
        size = size_bytes(message)
        with self._changed:
            if self.error or (self._queue and self._queued_bytes + size > self._bound_bytes):
                return False
            self._add([message], size)
        return True

    def put_all(self, messages: Sequence[Encoded]) -> None:
        """Queue messages that are in memory anyway: the bound does not hold for them."""
        with self._changed:
            self._add(messages, sum(map(size_bytes, messages)))

    def _add(self, messages: Sequence[Encoded], size: int) -> None:
        self._queue.extend(messages)
        self._queued_bytes += size
        self._changed.notify()

    def finish(self, notes: Notes) -> None:
        """Say that nothing comes any more: `notes` go behind all that is queued."""
        with self._changed:
            self._notes = notes
            self._changed.notify()

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait until all is written; whether it is."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        message: Encoded | None = None
        try:
            while (message := self._next()) is not None:
                self._log.append(message)
            assert self._notes is not None
            self._log.close(self._notes)
        except LogError as error:
            self._fail(str(error), message)

    def _next(self) -> Encoded | None:
        """The oldest message, waited for; None at the end."""
        with self._changed:
            while not self._queue:
                if self._notes is not None:
                    return None
                self._changed.wait()
            message = self._queue.popleft()
            self._queued_bytes -= size_bytes(message)
            return message

    def _fail(self, why: str, failed: Encoded | None) -> None:
        with suppress(LogError):  # the first error is the one to tell
            self._log.close({})
        with self._changed:
            self.lost.update(message.stream for message in (failed, *self._queue) if message)
            self._queue.clear()
            self.error = why  # from here on the rest may be read


def size_bytes(message: Encoded) -> int:
    """The bytes of a message."""
    return sum(map(len, message.parts))
