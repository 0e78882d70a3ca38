"""Times calls as they come in a pipeline: one at a time, in turn, with idle time before each.

A loop over one call flatters: its weights and the predictions of the CPU stay where they are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

WARM_UP_CALLS = 3
SEED = 2026


def paced_ms(
    calls: Mapping[str, Callable[[], Any]], n_rounds: int, period_s: float
) -> dict[str, list[float]]:
    """{name: how long each call took, in ms}. Each round calls all, in an order drawn at random.

    Calls begin `period_s` after another, or as soon as the one before has ended.
    """
    for call in calls.values():
        for _ in range(WARM_UP_CALLS):
            call()
    rng, names = np.random.default_rng(SEED), list(calls)
    found: dict[str, list[float]] = {name: [] for name in names}
    due_s = time.monotonic()
    for _ in range(n_rounds):
        for index in rng.permutation(len(names)):
            due_s = max(due_s + period_s, time.monotonic())
            time.sleep(max(0.0, due_s - time.monotonic()))
            started_ns = time.perf_counter_ns()
            calls[names[index]]()
            found[names[index]].append((time.perf_counter_ns() - started_ns) / 1e6)
    return found
