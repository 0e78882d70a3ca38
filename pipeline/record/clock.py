"""The one pair of clock readings that dates everything a run records."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClockPair:
    """One moment on both clocks. A wall clock that is set later changes nothing."""

    monotonic_ns: int
    wall_ns: int

    @property
    def offset_ns(self) -> int:
        """Wall minus monotonic."""
        return self.wall_ns - self.monotonic_ns


def read_clocks() -> ClockPair:
    """Now, on both clocks."""
    return ClockPair(time.monotonic_ns(), time.time_ns())
