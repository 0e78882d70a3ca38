"""How long to wait before the next attempt."""

from __future__ import annotations

FIRST_S = 0.5
MAX_S = 30.0


class Backoff:
    """Waiting times that double with each attempt, up to a limit."""

    def __init__(self, max_s: float = MAX_S) -> None:
        self._next_s, self._max_s = FIRST_S, max_s

    def take_s(self) -> float:
        """How long to wait this time."""
        now_s, self._next_s = self._next_s, min(2 * self._next_s, self._max_s)
        return now_s

    def reset(self) -> None:
        """Start with the first waiting time again: an attempt has succeeded."""
        self._next_s = FIRST_S
