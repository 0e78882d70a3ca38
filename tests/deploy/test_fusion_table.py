"""The table of fusions is made of what evaluations found."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.fusion_table import ALONE, ONE_MISSING, mean_row, row_of, rows_alone, table
from pipeline.cli import main

FOUND: dict[str, Any] = {
    "accuracy": 0.95,
    "ece": 0.01,
    "missing": {
        "image": 0.88,
        "audio": 0.9,
        "text": 0.86,
        "image+audio": 0.7,
        "image+text": 0.66,
        "audio+text": 0.76,
    },
    "noisy": {"image": 0.85, "audio": 0.9, "text": 0.8},
    "robust": 0.826,
    "stale": 0.8,
    "size_bytes": 4_000_000,
    "encoder_bytes": {"image": 1_000_000, "audio": 400_000, "text": 2_000_000},
    "latency_ms": {"p50": 1.5, "p99": 2.0},
    "missing_ms": {"audio+text": 0.6, "image+text": 0.4, "image+audio": 0.7},
}


def test_a_row_has_the_means_of_the_conditions() -> None:
    row = row_of(FOUND)
    assert row["clean"] == pytest.approx(95.0)
    assert row[ONE_MISSING] == pytest.approx(88.0)
    assert row[ALONE] == pytest.approx(70.667, abs=1e-3)
    assert row["noisy"] == pytest.approx(85.0)
    assert row["robust"] == pytest.approx(82.6)
    assert row["parameters"] == 1_000_000
    assert row["latency_ms"] == 1.5


def test_a_modality_alone_is_what_is_left_of_all() -> None:
    assert [(name, round(row["clean"])) for name, row in rows_alone(FOUND)] == [
        ("image alone", 76),
        ("audio alone", 66),
        ("text alone", 70),
    ]


def test_the_table_has_the_mean_and_the_spread_over_seeds() -> None:
    better = FOUND | {"accuracy": 0.97}
    text = table(
        {
            "concat": mean_row([row_of(FOUND), row_of(better)]),
            "text alone": mean_row([rows_alone(FOUND)[2][1]]),
        }
    )
    _, _, concat, alone = text.splitlines()
    assert concat == (
        "| concat | 2 | 96.0 (1.0) | 88.0 | 70.7 | 85.0 | 82.6 | 80.0 | 0.010 | 1,000,000 | 1.50 |"
    )
    assert alone == "| text alone | 1 | 70.0 (0.0) |  |  |  |  |  |  | 500,000 | 0.70 |"


def test_a_config_without_logs_to_judge_by_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch", reason="needs the extra: train")
    assert main(["compare-fusions", "deploy/train/tridigits.toml", "train.mcap"]) != 0
    assert "--judge" in capsys.readouterr().err
