"""Labels from a function of time, such as the truth of the simulated home."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias, TypeVar

STEP_NS = 100_000_000  # no label of a truth is shorter

Said = TypeVar("Said")
# {label set: labels} at a time, or None where the truth is not settled.
Truths: TypeAlias = Callable[[int], "Mapping[str, tuple[str, ...]] | None"]


def sets_of(
    truths: Truths, start_ns: int, end_ns: int
) -> dict[str, list[tuple[int, int, str, float]]]:
    """{label set: its intervals} within a time; several labels of a set may hold at once."""
    found: dict[str, list[tuple[int, int, str, float]]] = defaultdict(list)
    for begun_ns, until_ns, said, score in intervals(truths, start_ns, end_ns):
        for name, labels in said.items():
            found[name] += [(begun_ns, until_ns, label, score) for label in labels]
    return dict(found)


def intervals(
    truth: Callable[[int], Said | None], start_ns: int, end_ns: int
) -> Iterator[tuple[int, int, Said, float]]:
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


def _change(truth: Callable[[int], object], before_ns: int, after_ns: int) -> int:
    """The first moment after `before_ns` at which the truth is another, by halving."""
    label = truth(before_ns)
    while after_ns - before_ns > 1:
        middle_ns = (before_ns + after_ns) // 2
        if truth(middle_ns) == label:
            before_ns = middle_ns
        else:
            after_ns = middle_ns
    return after_ns
