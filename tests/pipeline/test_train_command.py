"""From logs or scenes to a bundle that is judged, made smaller and run: whole commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra: train")
pytest.importorskip("onnx", reason="needs the extra: train")

from engines.bundle import load_bundle  # noqa: E402
from engines.compiled import CompiledBundle  # noqa: E402
from engines.options import EngineOptions  # noqa: E402
from pipeline.cli import main  # noqa: E402
from pipeline.sample import Reading, Sample, TextEvent  # noqa: E402
from tests.pipeline.live_log import START_NS, write_log  # noqa: E402
from tests.pipeline.test_examples_source import labels  # noqa: E402

PLAN = """
name = "tiny"
[text.a]
source = "external"
[readings.a]
source = "external"
[model]
fusion = "concat"
width = 16
[model.text]
length = 12
[model.readings]
names = ["heat"]
window = 2
[model.head.mood]
kind = "classify"
[model.train]
epochs = 3
batch = 16
unimodal_epochs = 1
"""
SECOND_NS = 1_000_000_000


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def log(folder: Path, name: str, *, moods: tuple[str, ...] = ("calm", "wild"), n: int = 20) -> Path:
    """Seconds that are calm or wild by turns, as text and readings tell."""
    rng = np.random.default_rng(3)
    samples: list[Sample] = []
    spans = []
    for second in range(n):
        mood = moods[second % len(moods)]
        spans.append((second + 0.05, second + 0.95, mood))
        at_ns = START_NS + second * SECOND_NS
        samples.append(
            TextEvent(
                stream="text/a",
                seq=second,
                text=f"{mood} {second}",
                t_capture_ns=at_ns,
                t_publish_ns=at_ns + 1,
            )
        )
        for half in range(2):
            heat = np.array([rng.normal(20 if mood == "calm" else 30)], np.float32)
            t_ns = at_ns + half * SECOND_NS // 2
            samples.append(
                Reading(
                    stream="readings/a",
                    seq=2 * second + half,
                    t_capture_ns=t_ns,
                    t_publish_ns=t_ns,
                    values=heat,
                    names=("heat",),
                    units=("C",),
                )
            )
    write_log(folder / name, [*samples, *labels(*spans)], None)
    return folder / name


def plan(folder: Path) -> str:
    (folder / "tiny.toml").write_text(PLAN)
    return str(folder / "tiny.toml")


def run(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str, str]:
    code = main([str(word) for word in words])
    told = capsys.readouterr()
    return code, told.out, told.err


@pytest.mark.parametrize(
    ("moods", "heat", "told"),
    [(("calm",), "heat", "all 176 windows say 'calm'"), (("calm", "wild"), "cold", "readings/a")],
)
def test_bad_data_is_told_before_anything_is_trained(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    moods: tuple[str, ...],
    heat: str,
    told: str,
) -> None:
    path = log(tmp_path, "a.mcap", moods=moods)
    names = f'model.readings.names=["{heat}"]'
    words = ("train", plan(tmp_path), path, "--out", tmp_path / "out", "--set", names)
    code, _, errors = run(capsys, *words)
    assert code == 2
    assert told in errors
    assert not (tmp_path / "out" / "bundle.json").exists()


def test_where_a_bundle_may_not_go_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, config = log(tmp_path, "a.mcap", n=2), plan(tmp_path)
    code, _, errors = run(capsys, "train", config, path)
    assert code == 2
    assert "is shipped: say where with --out" in errors
    code, _, errors = run(capsys, "train", config, path, "--out", tmp_path)
    assert code == 2
    assert "holds something else than a bundle" in errors
    code, _, errors = run(capsys, "train", config, path, "--scenes", "3", "--out", tmp_path / "x")
    assert code == 2
    assert "not from both" in errors


@pytest.mark.slow
def test_a_bundle_is_trained_on_logs_judged_and_made_smaller(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train, val, out = log(tmp_path, "a.mcap"), log(tmp_path, "b.mcap"), tmp_path / "out"
    config = plan(tmp_path)
    judge = ("--judge", val)
    code, told, errors = run(capsys, "train", config, train, "--out", out, "--seed", "3", *judge)
    assert code == 0, errors
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in told.splitlines()]
    assert table[0] == ["", "out", "product"]
    conditions = {
        name: float(model) for name, model, _ in table[2:] if name not in ("stale", "ece")
    }
    assert conditions["accuracy, all there"] > 0.9
    assert {"without text", "without readings", "noisy text", "robust"} < set(conditions)
    assert "176 windows: text in 100%" in errors
    assert "torch and ONNX Runtime differ by" in errors
    bundle = load_bundle(str(out))
    assert bundle.manifest.made_by == "sensorium train tiny.toml a.mcap --seed 3"
    found = judged(capsys, out, val, config)
    assert found["accuracy"] > 0.9
    assert found["main"] == "mood"
    for precision in ("int8", "fp16"):
        words = ("export", out, "--precision", precision, val, "--config", config)
        code, told, errors = run(capsys, *words)
        assert code == 0, errors
        assert precision in told
        variant = judged(capsys, out, val, config, "--set", f"fusion.precision={precision}")
        assert variant["accuracy"] >= found["accuracy"] - 0.02
        assert variant["precision"] == precision
    assert set(load_bundle(str(out)).manifest.variants) == {"int8", "fp16"}
    assert_differs(out)


def judged(
    capsys: pytest.CaptureFixture[str], out: Path, path: Path, config: str, *more: str
) -> dict[str, Any]:
    code, told, errors = run(capsys, "evaluate", out, path, "--config", config, "--json", *more)
    assert code == 0, errors
    result: dict[str, Any] = json.loads(told)
    return result


def assert_differs(out: Path) -> None:
    """Another precision is another graph."""
    bundle = load_bundle(str(out))
    text = np.array([[100, 98, 109, 110, 33, 50, 0, 0, 0, 0, 0, 0]], np.int32)
    made = [
        CompiledBundle(bundle, "onnxruntime", EngineOptions(precision=p)).encode("text", text)
        for p in ("fp32", "fp16")
    ]
    assert 0 < np.abs(made[0] - made[1]).max() < 0.05


def test_a_log_to_judge_by_is_looked_for_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = log(tmp_path, "a.mcap")
    words = ("train", plan(tmp_path), own, "--out", tmp_path / "out", "--judge")
    code, _, errors = run(capsys, *words, tmp_path / "none.mcap")
    assert code == 2
    assert "none.mcap: cannot be read" in errors
    code, _, errors = run(capsys, *words, own)
    assert code == 2
    assert "a.mcap: it is learned from" in errors
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_training_goes_on_where_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("train", plan(tmp_path), log(tmp_path, "a.mcap"), "--out", tmp_path / "out")
    assert run(capsys, *words)[0] == 0
    first = (tmp_path / "out" / "text.onnx").read_bytes()
    assert (tmp_path / "out" / "training").is_dir()
    code, _, errors = run(capsys, *words)
    assert code == 0, errors
    assert (tmp_path / "out" / "text.onnx").read_bytes() == first
    code, _, errors = run(capsys, *words, "--set", "model.train.epochs=4")
    assert code == 2
    assert "of another configuration" in errors
