"""`sensorium bench node` and `start` as commands; sweep and overload are in test_governor.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.system.run import SIMULATED, sensorium

pytestmark = pytest.mark.slow


def bench(folder: Path, *arguments: str) -> dict[str, Any]:
    done = sensorium(folder, "bench", *arguments, "--json", limit_s=110.0)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_the_node_is_measured_beside_bare_calls(tmp_path: Path) -> None:
    found = bench(tmp_path, "node", "--ticks", "30")
    assert found["ticks"] == 30
    assert set(found["engines"]) == {"image", "audio", "text", "readings", "fusion"}
    for one in found["engines"].values():
        assert one["own_us"]["p50"] > 0
        assert 0.5 < one["ratio"] < 3
    assert found["node_over_bare"] > 1


def test_a_start_is_divided_into_parts_that_sum_to_it(tmp_path: Path) -> None:
    hub = tmp_path / "hub.toml"
    hub.write_text(SIMULATED.replace('jsonl = "-"', 'jsonl = ""'))
    found = bench(tmp_path, "start", str(hub), "--starts", "1")
    assert set(found["parts_s"]) == {"command", "node", "sensor", "prediction"}
    assert sum(found["parts_s"].values()) == pytest.approx(found["first_prediction_s"], abs=0.005)
    assert all(seconds >= -0.02 for seconds in found["parts_s"].values())
    assert all(seconds > 0 for seconds in found["node_alone_s"].values())


def test_a_start_without_a_camera_is_refused(tmp_path: Path) -> None:
    hub = tmp_path / "hub.toml"
    hub.write_text('name = "a"\n[text.events]\nsource = "simulator"\n')
    done = sensorium(tmp_path, "bench", "start", str(hub))
    assert done.returncode == 2
    assert "has no camera" in done.stderr
