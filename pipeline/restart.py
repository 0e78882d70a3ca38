"""When a process that crashed is started again, and when it counts as failed."""

from __future__ import annotations

from collections import deque

from pipeline.backoff import Backoff

SETTLED_S = 10.0  # a process that ran this long starts with the first back-off again
MAX_CRASHES = 5  # so many in CRASH_WINDOW_S: starting it again and again does not help
CRASH_WINDOW_S = 60.0
RETRY_S = 30.0  # between two attempts with one that has failed: a person may have helped


class Restarts:
    """The crashes of one process. `failed` holds until it has run for CRASH_WINDOW_S again."""

    def __init__(self) -> None:
        self._backoff = Backoff()
        self._crashes_s: deque[float] = deque(maxlen=MAX_CRASHES)
        self.failed = False

    def crash(self, now_s: float, ran_s: float) -> float:
        """Count a crash at `now_s` after so long a life; how long to wait before the next."""
        if ran_s > SETTLED_S:
            self._backoff.reset()
        if ran_s > CRASH_WINDOW_S:
            self.failed = False
        self._crashes_s.append(now_s)
        many = len(self._crashes_s) == MAX_CRASHES
        if many and now_s - self._crashes_s[0] <= CRASH_WINDOW_S:
            self.failed = True
        return RETRY_S if self.failed else self._backoff.take_s()

    def fail(self) -> float:
        """Count it as failed at once: it says itself that it cannot run."""
        self.failed = True
        return RETRY_S

    def reset(self) -> None:
        """Forget what was: somebody has asked for a new beginning."""
        self.failed = False
        self._crashes_s.clear()
        self._backoff.reset()
