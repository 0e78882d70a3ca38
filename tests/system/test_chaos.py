"""Whole plans of faults with real processes: every bound holds, and a bound can break."""

from __future__ import annotations

import json
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.chaos.host import processes
from pipeline.chaos.plan import APPLIES
from pipeline.chaos.schedule import Span, write_schedule
from tests.parts import wait_until
from tests.pipeline.test_chaos import SHORT, fault
from tests.system.run import COMMAND, SIMULATED, Run, alive, environment, sensorium

pytestmark = pytest.mark.slow

BRIEF = """
[config]
name = "hub"
microphone.room = { source = "simulator", max_age_ms = 800 }
camera.room = { source = "simulator", resize = [320, 240] }
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a name that leaves room in the path of a socket."""
    with tempfile.TemporaryDirectory(prefix="t-") as made:
        yield Path(made)


def temporary(folder: Path) -> dict[str, str]:
    """All that a run makes lies in this folder."""
    return {**environment(folder), "TMPDIR": str(folder)}


@pytest.mark.timeout(200)
def test_every_fault_is_noticed_survived_and_accounted_for(folder: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "chaos", str(SHORT), "--json"],
        env=temporary(folder),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert {line["kind"] for line in result["faults"]} == set(APPLIES)
    for line in result["faults"]:
        assert line["signal"], line
        assert line["detect_s"] <= (1.5 if line["kind"] == "network_cut" else 3.0), line
        assert line["recover_s"] <= 5.0, line
        assert line["ledger_closed"], line
        assert line["ticks_missed"] <= 1 or line["stream"] == "node", line
    assert result["broken"] == []
    assert result["false_alarms"] == {}
    assert result["orphans"] == 0
    assert result["longest_gap_periods"] <= 2.0
    assert list(folder.glob("chaos-*")) == []


def test_a_bound_that_cannot_be_held_is_named_and_fails(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    bounds = "[bounds]\ndetect_s = 0.01\nrecover_s = 0.01\n"
    plan.write_text(BRIEF + bounds + fault("duplicate", "microphone/room", for_s=2))
    done = sensorium(tmp_path, "chaos", str(plan), "--json")
    assert done.returncode == 1
    (line,) = json.loads(done.stdout)["faults"]
    name = "broken: duplicate of microphone/room at 1 s"
    assert f"{name}: noticed after {line['detect_s']:g} s: more than 0.01 s" in done.stderr
    assert f"{name}: recovered from after {line['recover_s']:g} s" in done.stderr


def test_a_fault_that_nothing_shows_is_not_noticed(tmp_path: Path) -> None:
    """A clock that is off by a millisecond is within the bounds of any clock."""
    plan = tmp_path / "plan.toml"
    plan.write_text(BRIEF + fault("clock_step", "microphone/room", step_s=-0.001))
    done = sensorium(tmp_path, "chaos", str(plan), "--json")
    assert done.returncode == 1
    (line,) = json.loads(done.stdout)["faults"]
    assert (line["detect_s"], line["signal"]) == (None, "")
    assert "clock_step of microphone/room at 1 s: not noticed" in done.stderr


def test_a_run_that_was_not_started_by_chaos_reads_no_schedule(tmp_path: Path) -> None:
    with Run(tmp_path, SIMULATED) as run:
        directory = tmp_path / "sensorium" / "home"
        run.until(lambda prediction: not prediction["missing"])
        for folder in (tmp_path, directory):
            write_schedule(
                folder, [Span(kind="unplug", stream="camera/room", begin_ns=0, end_ns=2**62)]
            )
        for _ in range(20):
            assert "camera/room" in run.next()["inputs"]
        commands = [
            Path(f"/proc/{process['pid']}/cmdline").read_bytes()
            for process in run.status().values()
        ]
        assert not [command for command in commands if b"faulty" in command]
        (directory / "schedule.json").unlink()


def test_the_death_of_chaos_ends_its_run(folder: Path) -> None:
    plan = folder / "plan.toml"
    plan.write_text(BRIEF + fault(at_s=60))
    with subprocess.Popen([*COMMAND, "chaos", str(plan)], env=temporary(folder)) as process:
        wait_until(lambda: len(processes(folder)) >= 4, 20.0)  # run, node and two sensors
        pids = processes(folder)
        process.send_signal(signal.SIGKILL)
        wait_until(lambda: not any(map(alive, pids)), 20.0)
