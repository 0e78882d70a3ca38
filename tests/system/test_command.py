"""The commands that measure, and the wheel: what a user gets from them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.system.run import environment, sensorium

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
MODALITIES = ["audio", "image", "readings", "text"]


def result_of(folder: Path, *arguments: str) -> dict[str, Any]:
    done = sensorium(folder, *arguments, "--json", limit_s=240)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def test_fusion_is_right_where_no_device_alone_is(tmp_path: Path) -> None:
    found = result_of(tmp_path, "evaluate", "--scenes", "200")
    missing = found["missing"]
    patterns = {frozenset(pattern.split("+")): score for pattern, score in missing.items()}
    alone = [patterns[frozenset(MODALITIES) - {name}] for name in MODALITIES]
    assert len(missing) == 2 ** len(MODALITIES) - 2
    assert set(found["noisy"]) == set(found["replaced"]) == set(MODALITIES)
    assert found["windows"] == 200
    assert found["accuracy"] >= 0.95
    assert found["ece"] <= 0.05
    assert found["accuracy"] >= max(alone) + 0.15
    assert min(missing[name] for name in MODALITIES) >= 0.80
    assert found["accuracy"] - min(found["replaced"].values()) <= 0.15


def test_the_camera_benchmark_runs(tmp_path: Path) -> None:
    result = result_of(tmp_path, "bench", "camera", "--frames", "60")
    assert result["frames"] >= 60
    for key in ("overhead_us", "raw_pyzmq_us", "publish_to_emit_us", "compute_us"):
        assert set(result[key]) == {"p50", "p95", "p99"}
    assert {"overhead_ratio", "end_to_end_over_compute", "stages_us"} <= set(result)


def test_the_benchmark_of_the_recorder_runs(tmp_path: Path) -> None:
    """How little, the benchmark says; a test on a shared machine cannot."""
    result = result_of(tmp_path, "bench", "record", "--runs", "1", "--seconds", "3")
    for percentile in ("p50", "p99"):
        for name in ("ratio", "a_a_ratio"):
            middle, least, most = result[f"{percentile}_{name}"]
            assert 0 < least <= middle <= most


def test_the_transport_benchmark_loses_nothing(tmp_path: Path) -> None:
    result = result_of(tmp_path, "bench", "transport", "--runs", "1")
    assert result["runs"] == 1
    rows = {(row["payload"], row["mode"]): row for row in result["rows"]}
    assert {(name, "copy") for name in ("text", "audio", "vga", "fullhd")} <= set(rows)
    assert {("vga", "loan"), ("fullhd", "loan")} <= set(rows)
    for row in rows.values():
        assert row["lost"] == 0
        assert {"p50_us", "p99_us", "p50_vs_pyzmq", "p50_vs_bound", "rate_hz", "cpu_ms"} <= set(row)


def test_other_readers_do_not_notice_one_that_stops(tmp_path: Path) -> None:
    result = result_of(tmp_path, "bench", "readers", "--runs", "1", "--frames", "50")
    assert [row["readers"] for row in result["rows"]] == [1, 2, 4]
    for row in result["rows"]:
        assert row["grown_mb"] < 2
        assert {"p99_us", "others_p99_ratio", "writer_p99_us", "writer_p99_ratio"} <= set(row)


def test_the_wheel_works_without_the_checkout(tmp_path: Path) -> None:
    wheels, venv, elsewhere = (tmp_path / name for name in ("wheels", "venv", "elsewhere"))
    elsewhere.mkdir()
    python = str(venv / "bin" / "python")
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", str(wheels), str(ROOT)]
    execute(build, tmp_path)
    execute([sys.executable, "-m", "venv", str(venv)], tmp_path)
    install = [python, "-m", "pip", "install", "--quiet", "-c", str(ROOT / "constraints.txt")]
    execute([*install, *map(str, wheels.glob("*.whl"))], tmp_path)
    sensorium_there = str(venv / "bin" / "sensorium")
    out = execute([sensorium_there, "demo", "--seconds", "3", "--json"], elsewhere)
    result = json.loads(out.splitlines()[-1])
    assert result["predictions"] >= 25
    assert all(ledger["delivered"] > 0 for ledger in result["streams"].values())
    assert os.listdir(elsewhere) == []


def execute(command: list[str], folder: Path) -> str:
    """The output of a program that must succeed, without the checkout on its path."""
    variables = {k: v for k, v in environment(folder.parent).items() if k != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=folder, env=variables, capture_output=True, text=True, check=False, timeout=280
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
