"""A budget names the stage that broke it, and refuses what it cannot judge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.latency.budget import Budget, BudgetError, breaches, read_budget

FOUND: dict[str, Any] = {
    "mode": "live",
    "latency_ms": {"p50": 2.0, "p99": 9.0},
    "corrected_latency_ms": None,
    "sensor_to_prediction_ms": {"p50": 20.0, "p99": 40.0},
    "stages_ms": {"encode": {"p50": 1.0, "p99": 21.0}, "fuse": {"p50": 1.0, "p99": 2.0}},
}


def written(folder: Path, text: str) -> Path:
    path = folder / "budget.toml"
    path.write_text(text)
    return path


def test_what_broke_it_is_named_the_worst_first(tmp_path: Path) -> None:
    budget = read_budget(
        written(
            tmp_path,
            "[deadline_ms]\nencode.p99 = 5\nfuse.p99 = 5\nlatency = {p50 = 5, p99 = 8}\n"
            "[ratio]\nencode.p99 = 0.5\nfuse.p50 = 0.1\n",
        )
    )
    assert [str(breach) for breach in breaches(budget, FOUND)] == [
        "encode p99: 21.000 ms, budget 5 ms",
        "latency p99: 9.000 ms, budget 8 ms",
        "encode p99: 0.525 of the total, budget 0.5 of the total",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[deadline_ms]\nencod.p99 = 5", r"`deadline_ms\.encod`; did you mean `encode`"),
        ("[ratio]\nfuse.p98 = 5", r"`ratio\.fuse\.p98`; did you mean `p9"),
        ("[ratio]\nfuse.p99 = 0", r"ratio\.fuse\.p99: is 0, and must be above 0"),
        ("[deadlines]\nfuse.p99 = 1", "unknown field `deadlines`"),
        ("[deadline_ms]\nfuse.p99 = 'soon'", "Expected `float`"),
        ("", "no limit"),
        ("=", "Invalid"),
    ],
)
def test_a_budget_that_makes_no_sense_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(BudgetError, match=message):
        read_budget(written(tmp_path, text))


def test_what_was_not_measured_is_no_success() -> None:
    budget = Budget(deadline_ms={"corrected_latency": {"p99": 1.0}})
    with pytest.raises(BudgetError, match="was not measured"):
        breaches(budget, FOUND)
