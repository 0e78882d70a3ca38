"""Labels from a function of time, such as the truth of the simulated home."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.summary import Truth

STEP_NS = 100_000_000  # no label of a truth is shorter


def intervals(truth: Truth, start_ns: int, end_ns: int) -> Iterator[tuple[int, int, str, float]]:
    """(start_ns, end_ns, label, score 1) of what holds within a time; edges to the nanosecond."""
    begun_ns, label = start_ns, truth(start_ns)
    t_ns = start_ns
    while t_ns < end_ns:
        next_ns = min(t_ns + STEP_NS, end_ns)
        if truth(next_ns) != label:
            changed_ns = _change(truth, t_ns, next_ns)
            if label is not None:
                yield begun_ns, changed_ns, label, 1.0
            begun_ns, label = changed_ns, truth(changed_ns)
            next_ns = changed_ns
        t_ns = next_ns
    if label is not None and begun_ns < end_ns:
        yield begun_ns, end_ns, label, 1.0


def _change(truth: Truth, before_ns: int, after_ns: int) -> int:
    """The first moment after `before_ns` at which the truth is another, by halving."""
    label = truth(before_ns)
    while after_ns - before_ns > 1:
        middle_ns = (before_ns + after_ns) // 2
        if truth(middle_ns) == label:
            before_ns = middle_ns
        else:
            after_ns = middle_ns
    return after_ns
