"""`sensorium bench run` on a log, with budgets and comparisons; planted delays that really pass."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt
import pytest

from engines.engine import Engine
from pipeline import cli
from pipeline.child import Stop
from pipeline.latency.budget import Budget, breaches
from pipeline.latency.compare import Plan, compare_flat, text
from pipeline.latency.flat_run import FlatRun
from pipeline.latency.result import result
from pipeline.prediction import Prediction
from tests.pipeline.home import config
from tests.pipeline.live_log import live_log

DELAY_S = 0.02


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bench") / "run.mcap"
    live_log(path, config("camera.room.resize=[160,120]"), duration_s=3.0)
    return path


def bench(*arguments: str) -> int:
    return cli.main(["bench", "run", *arguments])


def flat(log: Path, *arguments: str) -> int:
    return bench(str(log), "--flat", "--seconds", "0.3", "--warm-up", "0.1", *arguments)


def test_a_log_is_measured_and_written_in_every_form(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, hlog = tmp_path / "a.html", tmp_path / "a.hlog"
    assert flat(log, "--json", "--html", str(page), "--hlog", str(hlog)) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["mode"] == "flat"
    assert found["predictions"] > 0
    assert found["warm_up_predictions"] > 0
    assert found["sum_error_us_max"] == 0
    assert set(found["stages_ms"]) == {"preprocess", "encode", "align", "fuse", "emit"}
    assert "<svg" in page.read_text()
    assert "Tag=stage_fuse" in hlog.read_text()


def test_a_budget_that_is_broken_is_exit_code_1_and_names_the_stage(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    budget = tmp_path / "budget.toml"
    budget.write_text("[deadline_ms]\nfuse.p50 = 0.000001\nlatency.max = 1e9\n")
    assert flat(log, "--budget", str(budget)) == 1
    assert "over budget: fuse p50" in capsys.readouterr().err
    budget.write_text("[deadline_ms]\nlatency.max = 1e9\n")
    assert flat(log, "--budget", str(budget)) == 0


def test_earlier_results_are_compared(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert flat(log, "--json") == 0
    path = tmp_path / "a.json"
    path.write_text("something before\n" + capsys.readouterr().out)
    assert bench("--compare", str(path), str(path), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ratios"]["p50"][0] == 1.0
    assert not found["interleaved"]
    assert bench("--compare", str(path), str(tmp_path / "none.json")) == 2
    assert "none.json: No such file" in capsys.readouterr().err


def test_two_bundles_take_turns_on_a_log(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert flat(log, "--compare", "home", "home", "--rounds", "4", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    middle, low, high = found["ratios"]["p50"]
    assert low <= middle <= high
    assert (found["interleaved"], found["rounds"]) == (True, 4)


class Late(FlatRun):
    """A replay that says of everything that it took a second longer."""

    def _predictions(self) -> Iterator[tuple[Prediction, int]]:
        for prediction, took_ns in super()._predictions():
            yield prediction, took_ns + 1_000_000_000


def test_a_side_that_is_slower_is_told_by_how_much(log: Path) -> None:
    runs = {"usual": FlatRun(log), "slow": Late(log)}
    plan = Plan(rounds=4, seconds=0.2, warm_up_s=0.1, stop=Stop())
    found = compare_flat(("usual", "slow"), runs.__getitem__, plan)
    assert all(middle > 1.5 for middle, _, _ in found["ratios"].values())
    assert "slow / usual" in text(found)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name a TOML file, a log, or demo"),
        (["demo", "--flat"], "--flat is for logs"),
        (["--compare", "a", "b", "--html", "x"], "--compare prints ratios"),
    ],
)
def test_what_cannot_be_measured_is_said(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(*arguments) == 2
    assert message in capsys.readouterr().err


class Slow:
    """An engine whose calls take longer, now and then."""

    def __init__(self, engine: Engine, wait: Callable[[], None]) -> None:
        self._engine, self._wait = engine, wait
        self.backend, self.inputs, self.outputs = engine.backend, engine.inputs, engine.outputs

    def run(self, feeds: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        self._wait()
        return dict(self._engine.run(feeds))

    def close(self) -> None:
        self._engine.close()


def test_a_real_delay_in_one_call_of_fifty_breaks_the_budget_of_its_stage(log: Path) -> None:
    calls = itertools.count()

    def wait() -> None:
        until_s = time.perf_counter() + (DELAY_S if next(calls) % 50 == 25 else 0)
        while time.perf_counter() < until_s:
            pass

    run = FlatRun(log)
    run.model.encoders["image"] = Slow(run.model.encoders["image"], wait)
    found = result(run.measure(3.0, 0.0, Stop()))
    limit_ms = {"max": 0.9 * DELAY_S * 1000}
    # A machine that is shared may be slow anywhere, but seldom for half of all calls.
    usual_ms = {"p50": 0.9 * DELAY_S * 1000}
    others = dict.fromkeys(("preprocess", "align", "fuse", "emit"), usual_ms)
    broken = breaches(Budget(deadline_ms={"encode": limit_ms | usual_ms, **others}), found)
    assert [(breach.what, breach.percentile) for breach in broken] == [("encode", "max")]
    assert found["streams"]["camera/room"]["stages_ms"]["encode"]["p99"] >= DELAY_S * 1000
