"""Calls are timed in turn, each after idle time."""

from __future__ import annotations

import time
from collections import Counter

from engines.bench.paced import WARM_UP_CALLS, paced_ms


def test_every_call_is_timed_once_a_round_in_changing_order() -> None:
    order: list[str] = []
    calls = {name: (lambda name=name: order.append(name)) for name in "abc"}
    found = paced_ms(calls, 20, 0.0)
    assert {name: len(times) for name, times in found.items()} == dict.fromkeys("abc", 20)
    timed = order[3 * WARM_UP_CALLS :]
    rounds = ["".join(timed[at : at + 3]) for at in range(0, 60, 3)]
    assert all(sorted(each) == ["a", "b", "c"] for each in rounds)
    assert len(Counter(rounds)) > 3


def test_calls_begin_a_period_apart() -> None:
    started_s = time.monotonic()
    paced_ms({"a": lambda: None}, 10, 0.01)
    assert time.monotonic() - started_s >= 0.1
