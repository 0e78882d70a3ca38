"""A configuration that asks for more memory than there is, is refused before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import footprint
from pipeline.error import ConfigError
from pipeline.loader import check
from tests.system.run import SIMULATED, sensorium

TABLE = {
    "name": "hub",
    "camera": {"door": {"source": 0, "policy": "queue", "bound": 4096, "resize": [7680, 4320]}},
}


def test_rings_that_do_not_fit_are_told_with_their_key() -> None:
    with pytest.raises(ConfigError, match=r"camera.door.bound: takes 408\d{3} MB.*lower it"):
        footprint.check(check(TABLE, "hub.toml"))


def test_so_is_the_memory_of_incidents() -> None:
    incident = {"directory": "/tmp", "memory_mb": 10_000_000}
    config = check({"name": "hub", "camera": {"a": {"source": 0}}, "incident": incident}, "x")
    with pytest.raises(ConfigError, match=r"incident.memory_mb: takes 20000000 MB"):
        footprint.check(config)


def test_what_fits_is_taken() -> None:
    camera = {"source": 0, "resize": [1920, 1080], "record": "jpeg"}
    config = check({"name": "hub", "camera": {"a": camera}}, "x")
    footprint.check(config)
    # Eight that a reader may be behind, four that are being made, eight that wait for the recorder.
    assert footprint.ring_slots(config.camera["a"]) == 20


def test_a_run_says_so_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "hub.toml"
    path.write_text(SIMULATED)
    arguments = ["--set", "camera.room.policy=queue", "--set", "camera.room.bound=4096"]
    done = sensorium(
        tmp_path, "run", str(path), *arguments, "--set", "camera.room.resize=[9999,9999]"
    )
    assert done.returncode == 2
    assert "camera.room.bound: takes" in done.stderr
    assert len(done.stderr.splitlines()) == 1
