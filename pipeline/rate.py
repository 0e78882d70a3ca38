"""How many samples a second each process makes, from the counters that it reports."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from pipeline.sample import Health

SPAN_REPORTS = 6  # five seconds at one report a second
COUNTERS = ("captured", "predictions")  # of a sensor, and of the node


class Rates:
    """The rate of each process over its newest reports."""

    def __init__(self) -> None:
        self._reports: dict[str, deque[Health]] = {}

    def observe(self, healths: Mapping[str, Health]) -> None:
        """Take in the newest health of each process; one that was seen before changes nothing."""
        for process, health in healths.items():
            seen = self._reports.setdefault(process, deque(maxlen=SPAN_REPORTS))
            if seen and seen[-1] is health:
                continue
            if seen and seen[-1].pid != health.pid:  # it counts from 0 again
                seen.clear()
            seen.append(health)

    def rate_hz(self, process: str) -> float | None:
        """Samples or predictions a second; None where nothing is counted, or not for long."""
        seen = self._reports.get(process)
        if seen is None or len(seen) < 2:
            return None
        first, last = seen[0], seen[-1]
        name = next((name for name in COUNTERS if name in last.counters), None)
        took_ns = last.t_publish_ns - first.t_publish_ns
        if name is None or took_ns <= 0:
            return None
        return (last.counters[name] - first.counters.get(name, 0)) * 1e9 / took_ns
