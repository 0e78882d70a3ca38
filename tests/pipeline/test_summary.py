"""The summary of a run, and the rates of the live view."""

from __future__ import annotations

import io

import pytest
from msgspec.structs import replace
from rich.console import Console
from rich.text import Text

from pipeline.node import FusionNode
from pipeline.prediction import Prediction
from pipeline.summary import NEWEST, Summary
from pipeline.terminal import View, rate_hz
from tests.pipeline.home import CAMERA, config, model, play, recording

TICK_NS = 100_000_000


@pytest.fixture(scope="module")
def predictions() -> list[Prediction]:
    return play(FusionNode(config(), model()), recording(seed=3, duration_s=2.0))


def late(prediction: Prediction, ms: float) -> Prediction:
    return replace(prediction, t_emit_ns=prediction.tick_ns + int(ms * 1e6))


def test_only_what_was_added_counts(predictions: list[Prediction]) -> None:
    summary = Summary(lambda _: predictions[0].top)
    for prediction in predictions:
        summary.add(late(prediction, 2.0))
    result = summary.result([CAMERA], {"predictions": 1000, f"{CAMERA}.captured": 30})
    assert result["predictions"] == result["scored"] == len(predictions)
    right = sum(prediction.top == predictions[0].top for prediction in predictions)
    assert result["accuracy"] == pytest.approx(right / len(predictions), abs=1e-4)
    assert result["latency_ms"] == {"p50": 2.0, "p95": 2.0, "p99": 2.0}


def test_a_long_run_keeps_the_newest_latencies(predictions: list[Prediction]) -> None:
    summary = Summary()
    slow, fast = late(predictions[-1], 50.0), late(predictions[-1], 1.0)
    for prediction in [slow] * 100 + [fast] * NEWEST:
        summary.add(prediction)
    result = summary.result([], {})
    assert result["predictions"] == NEWEST + 100
    assert result["latency_ms"]["p99"] == 1.0


@pytest.mark.parametrize("is_terminal", [False, True])
def test_what_follows_the_live_view_has_a_line_of_its_own(*, is_terminal: bool) -> None:
    console = Console(file=io.StringIO(), force_terminal=is_terminal)
    with View(console) as view:
        view(Summary(), {})
    console.print("3 predictions")
    assert isinstance(console.file, io.StringIO)
    shown = Text.from_ansi(console.file.getvalue()).plain
    assert shown.splitlines()[-1] == "3 predictions"


def test_the_rate_follows_the_ticks_over_a_restart_and_a_gap(
    predictions: list[Prediction],
) -> None:
    def at(tick: int, seq: int | None) -> Prediction:
        inputs = {} if seq is None else {CAMERA: [(seq, 0)]}
        return replace(predictions[0], t_capture_ns=tick * TICK_NS, inputs=inputs)

    steady = [at(tick, 2 * tick) for tick in range(5)]
    assert rate_hz(steady, CAMERA) == pytest.approx(20.0)
    restarted = [*steady, at(6, None), at(7, 0), at(8, 2)]
    assert rate_hz(restarted, CAMERA) == pytest.approx(20.0)
    assert rate_hz(steady[:1], CAMERA) == 0.0
    assert rate_hz([], CAMERA) == 0.0
