"""The windows of a log in as many pieces of like work as there are processors."""

from __future__ import annotations

from itertools import pairwise

import msgspec
from msgspec import structs

from pipeline.learning.cache import FEW, Task, processors
from pipeline.learning.job import Job, key_of
from pipeline.learning.source import Source

CUTTER = "pipeline.learning.cutter"


def task_of(source: Source) -> Task:
    """What is to be cut of a log."""
    n = processors() if source.expected >= 2 * FEW else 1
    edges_s = edges(source, n)
    pieces = [_piece(source.job, a_s, b_s) for a_s, b_s in pairwise([0.0, *edges_s, None])]
    return Task(
        key=key_of(source.job),
        module=CUTTER,
        jobs=tuple(map(msgspec.json.encode, pieces)),
        expected=source.expected,
    )


def edges(source: Source, n: int) -> list[float]:
    """Where n pieces of as much labelled time part, in seconds of the log, rising."""
    if not source.labels:
        return [round(source.length_s * k / n, 3) for k in range(1, n)]
    total_ns = sum(label.t_until_ns - label.t_capture_ns for label in source.labels)
    found: list[float] = []
    passed_ns = 0
    for label in source.labels:
        at_s = round((label.t_capture_ns - source.start_ns) / 1e9, 3)
        is_due = passed_ns * n >= total_ns * (len(found) + 1)
        is_within = (found[-1] if found else 0.0) < at_s < source.length_s
        if len(found) < n - 1 and is_due and is_within:
            found.append(at_s)
        passed_ns += label.t_until_ns - label.t_capture_ns
    return found


def _piece(job: Job, begin_s: float | None, end_s: float | None) -> Job:
    """The ticks from `begin_s` to before `end_s`, in seconds of the log."""
    begin_s = begin_s or 0.0
    # The end of a part belongs to it: a nanosecond before the next one.
    duration_s = None if end_s is None else end_s - begin_s - 1e-9
    return structs.replace(job, start_s=begin_s, duration_s=duration_s)
