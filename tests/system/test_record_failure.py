"""Recorders that are killed, hang, or have no room: what it costs, and whom."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from pipeline.log.reader import LogReader
from pipeline.sample import Sample
from tests.parts import wait_until
from tests.pipeline.logged import read
from tests.system.recorded import RECORDED, assert_closed, complete, notes, of, recorder
from tests.system.run import (
    LIMIT_S,
    Run,
    assert_every_tick,
    sensorium,
)

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("n_runs", "n_kills"),
    [(1, 1), pytest.param(10, 2, marks=[pytest.mark.slow, pytest.mark.timeout(600)])],
)
def test_a_killed_recorder_loses_half_a_second_at_most_and_nobody_else_notices(
    tmp_path: Path, n_runs: int, n_kills: int
) -> None:
    """No more kills a run: after each its supervisor waits longer before it starts another."""
    for n in range(n_runs):
        folder = tmp_path / str(n)
        folder.mkdir()
        kill(folder, n_kills, random.randrange(2**32))


def kill(folder: Path, n_kills: int, seed: int) -> None:
    moments = random.Random(seed)
    with Run(folder, RECORDED, "--record", str(folder / "x.mcap")) as run:
        run.until(complete)
        for n in range(n_kills):
            wait_until(lambda n=n: recorder(run)["restarts"] == n, LIMIT_S)  # type: ignore[misc]
            wait_until(lambda: recorder(run)["counters"].get("messages", 0) > 20, LIMIT_S)
            pid, at_s = recorder(run)["pid"], time.monotonic() + moments.uniform(0.0, 1.0)
            run.until(lambda _, at_s=at_s: time.monotonic() >= at_s)  # type: ignore[misc]
            os.kill(pid, signal.SIGKILL)
            killed_ns = time.monotonic_ns()
            path = folder / ("x.mcap" if n == 0 else f"x.{n:04d}.mcap")
            samples, said = repaired(folder, path)
            lost_s = (killed_ns - samples[-1].t_publish_ns) / 1e9
            assert lost_s <= 0.5, f"seed {seed}, kill {n}"
            assert said["lost_s"] is None or said["lost_s"] <= 0.5, f"seed {seed}, kill {n}"
            assert not said["whole"] and said["damage"]
        run.until(lambda _: recorder(run)["restarts"] == n_kills)
        run.stop()
        assert_every_tick(run.predictions)
    last = folder / f"x.{n_kills:04d}.mcap"
    assert_closed(notes(last)["ledger"], read(last))
    with LogReader(last) as reader, LogReader(folder / "x.repaired.mcap") as first:
        assert reader.header == first.header


def repaired(folder: Path, path: Path) -> tuple[list[Sample], dict[str, Any]]:
    """The samples of a cut file after its repair, and what the repair said."""
    done = sensorium(folder, "repair", str(path), "--json")
    assert done.returncode == 3, done.stderr
    said = json.loads(done.stdout)
    return read(Path(said["repaired"])), said


def test_a_recorder_that_hangs_disturbs_nobody_and_is_replaced(tmp_path: Path) -> None:
    with Run(tmp_path, RECORDED, "--record", str(tmp_path / "x.mcap")) as run:
        run.until(complete)
        wait_until(lambda: recorder(run)["counters"].get("messages", 0) > 20, LIMIT_S)
        os.kill(recorder(run)["pid"], signal.SIGSTOP)
        wait_until(lambda: recorder(run)["restarts"] == 1, LIMIT_S)
        wait_until(lambda: recorder(run)["counters"].get("messages", 0) > 20, LIMIT_S)
        replaced_s = time.time()
        run.until(lambda prediction: prediction["t"] > replaced_s)
        assert_every_tick(run.predictions)
        assert len(run.predictions) > 60  # it was waited for six seconds
        assert run.status()["node"]["counters"].get("camera/room.dropped.overwritten", 0) == 0
        run.stop()
    second = tmp_path / "x.0001.mcap"
    assert_closed(notes(second)["ledger"], read(second))


def test_a_full_disk_ends_the_recording_and_nothing_else(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = 'mount -t tmpfs -o size=5m none "$0" && exec "$@"'
    prefix = ["unshare", "--mount", "sh", "-c", mount, str(disk)]
    if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
        pytest.skip("a file system of its own needs root")
    with Run(tmp_path, RECORDED, "--record", str(disk / "x.mcap"), prefix=prefix) as run:
        run.until(complete)
        run.until(lambda _: recorder(run)["state"] == "failed")
        said = recorder(run)
        assert said["pid"] == 0 and said["last_error"].endswith("No space left on device")
        # The file lies in the run's own view of the file system, and is whole up to the end.
        path = Path(f"/proc/{run.process.pid}/root{disk}/x.mcap")
        counts = said["counters"]
        stored = of(read(path), "camera/room")
        assert len(stored) == counts["camera/room.recorded"] > 10
        assert counts["camera/room.dropped.disk_failed"] > 0
        failed_s = time.time()
        run.until(lambda prediction: prediction["t"] > failed_s + 1.5)
        assert recorder(run)["restarts"] == 0
        assert_every_tick(run.predictions)
        run.stop()
        assert run.process.returncode == 0
