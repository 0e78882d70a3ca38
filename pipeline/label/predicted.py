"""Labels from sure predictions, for a person to review."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pipeline.prediction import Prediction

SOURCE = "predicted"
# Ticks that are further apart are no neighbours: in between nobody looked.
NEIGHBOUR_NS = 500_000_000


@dataclass(slots=True)
class _Interval:
    """Neighbouring ticks that say the same."""

    label: str
    start_ns: int
    last_ns: int
    scores: float
    n: int

    def closed(self, period_ns: int) -> tuple[int, int, str, float]:
        """(start_ns, end_ns, label, mean score); a tick speaks for the time to the next one."""
        return self.start_ns, self.last_ns + period_ns, self.label, self.scores / self.n


def intervals(
    predictions: Iterable[Prediction], above: float
) -> Iterator[tuple[int, int, str, float]]:
    """(start_ns, end_ns, label, mean score) where the top score is at least `above`."""
    open_one: _Interval | None = None
    period_ns, before_ns = NEIGHBOUR_NS, None
    for prediction in predictions:
        tick_ns = prediction.tick_ns
        if before_ns is not None and tick_ns > before_ns:
            period_ns = min(period_ns, tick_ns - before_ns)
        before_ns = tick_ns
        label, score = prediction.top, prediction.scores.get(prediction.top, 0.0)
        if open_one and score >= above and _goes_on(open_one, label, tick_ns):
            open_one.last_ns, open_one.n = tick_ns, open_one.n + 1
            open_one.scores += score
            continue
        if open_one:
            yield open_one.closed(period_ns)
        open_one = _Interval(label, tick_ns, tick_ns, score, 1) if score >= above else None
    if open_one:
        yield open_one.closed(period_ns)


def _goes_on(interval: _Interval, label: str, tick_ns: int) -> bool:
    return interval.label == label and tick_ns - interval.last_ns <= NEIGHBOUR_NS
