"""Hysteresis: a fault begins when it has lasted, and ends when it has been gone for a while."""

from __future__ import annotations


class Hold:
    """`begun` after `begin_s` of nothing but suspicion, until `end_s` without any."""

    def __init__(self, begin_s: float, end_s: float) -> None:
        self._begin_ns, self._end_ns = begin_s * 1e9, end_s * 1e9
        self._since_ns: int | None = None
        self.begun = False

    def update(self, suspected: bool, now_ns: int) -> bool:
        """Take in one look; whether the fault is on."""
        if suspected == self.begun:
            self._since_ns = None
            return self.begun
        if self._since_ns is None:
            self._since_ns = now_ns
        if now_ns - self._since_ns >= (self._end_ns if self.begun else self._begin_ns):
            self.begun, self._since_ns = suspected, None
        return self.begun
