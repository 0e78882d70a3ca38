"""The memory of processes over time, from outside: what each has of its own, in /proc.

RssAnon leaves out shared memory and files: a leak is in what a process has alone. The slope is
that of a straight line through all samples of a time (least squares), in MB an hour.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

MB = 1_000_000
WARM_UP_S = 20.0  # a process that is younger still fills its caches
FEWEST = 3  # samples that a slope needs


class Memory:
    """{(name, pid): [(time in s, bytes)]} of all processes that were seen."""

    def __init__(self) -> None:
        self._samples: dict[tuple[str, int], list[tuple[float, int]]] = {}

    def sample(self, now_s: float, pids: Mapping[str, int]) -> None:
        """Look at each process that is there."""
        for name, pid in pids.items():
            if size := own_bytes(pid):
                self._samples.setdefault((name, pid), []).append((now_s, size))

    def slope(self, begin_s: float, end_s: float) -> float | None:
        """Of all processes together that were there from begin to end."""
        slopes = [_slope(_between(x, begin_s, end_s)) for x in self._samples.values()]
        found = [slope for slope in slopes if slope is not None]
        return round(sum(found), 1) if found else None

    def slopes(self) -> dict[str, float]:
        """Of each process after its warm-up; where it was restarted, of its longest life."""
        found: dict[str, tuple[int, float]] = {}
        for (name, _), samples in self._samples.items():
            warm = [x for x in samples if x[0] >= samples[0][0] + WARM_UP_S]
            slope = _slope(warm)
            if slope is not None and len(warm) > found.get(name, (0, 0.0))[0]:
                found[name] = len(warm), round(slope, 1)
        return {name: slope for name, (_, slope) in found.items()}


def own_bytes(pid: int) -> int:
    """RssAnon of a process; 0 if it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return 0
    for line in status.splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


def _between(
    samples: list[tuple[float, int]], begin_s: float, end_s: float
) -> list[tuple[float, int]]:
    """The samples of a time; none if the process was not there all the time."""
    is_whole = samples[0][0] <= begin_s and samples[-1][0] >= end_s - 1.5
    return [x for x in samples if begin_s <= x[0] <= end_s] if is_whole else []


def _slope(samples: list[tuple[float, int]]) -> float | None:
    """MB an hour."""
    if len(samples) < FEWEST:
        return None
    times_s, sizes = np.array(samples, np.float64).T
    return float(np.polyfit(times_s - times_s[0], sizes, 1)[0] * 3600 / MB)
