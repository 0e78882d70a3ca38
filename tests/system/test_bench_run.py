"""`sensorium bench run` with real processes: live, a log in its own time, and two in turn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.system.run import SIMULATED, left_behind, sensorium

pytestmark = pytest.mark.slow


def bench(folder: Path, *arguments: str) -> dict[str, Any]:
    done = sensorium(folder, "bench", "run", *arguments, "--json", limit_s=100.0)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """Its JSON lines would go to stdout, where the result goes."""
    path = tmp_path / "hub.toml"
    path.write_text(SIMULATED + "[fusion]\ntick_hz = 50\ndeadline_ms = 500\n")
    return path


def test_a_live_run_is_measured(tmp_path: Path, hub: Path) -> None:
    found = bench(tmp_path, str(hub), "--seconds", "3")
    assert found["mode"] == "live"
    assert found["predictions"] + found["ticks_left_out"] >= 3 * 50 * 0.9
    assert found["warm_up_predictions"] > 0
    assert found["sum_error_us_max"] == 0
    assert set(found["streams"]) >= {"camera/room", "microphone/room"}
    assert {"node", "camera/room"} <= found["processes"].keys()
    assert found["processes"]["node"]["peak_bytes"] > 10**7
    assert isinstance(found["deadline_missed"], int)
    assert found["first_prediction_s"] > 0
    for ledger in found["ledger"].values():
        assert ledger["captured"] == ledger["delivered"] + sum(ledger["dropped"].values())
    assert not left_behind(tmp_path)


def test_a_log_is_played_in_its_own_time(tmp_path: Path, hub: Path) -> None:
    recorded = SIMULATED.replace('jsonl = "-"', 'jsonl = ""')
    hub.write_text(
        recorded.replace('source = "simulator"', 'source = "simulator"\nrecord = "lossless"')
    )
    log = tmp_path / "run.mcap"
    done = sensorium(tmp_path, "run", str(hub), "--seconds", "5", "--record", str(log))
    assert done.returncode == 0, done.stderr
    found = bench(tmp_path, str(log), "--seconds", "2", "--warm-up", "0.5")
    assert found["mode"] == "paced"
    assert "arrive" in found["stages_ms"]
    assert found["sum_error_us_max"] == 0
    assert any("camera/room" in name for name in found["processes"])
    assert not left_behind(tmp_path)


def test_two_configurations_take_turns(tmp_path: Path, hub: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text(hub.read_text())
    compare = ["--compare", str(hub), str(other), "--rounds", "4", "--seconds", "1"]
    found = bench(tmp_path, *compare, "--warm-up", "0.3")
    assert (found["mode"], found["interleaved"]) == ("live", True)
    middle, low, high = found["ratios"]["p50"]
    assert 0 <= low <= middle <= high  # of four rounds it may be as wide as can be
