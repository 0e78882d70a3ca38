"""How processes of a run are started, watched, muted and started again."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline import boot, supervisor
from pipeline.backoff import Backoff
from pipeline.config import Config
from pipeline.spawn import Child
from pipeline.stream import Text
from pipeline.supervisor import Supervisor

LIMIT_S = 20.0
STREAM = "text/a"
WORK = """
import pathlib, signal, sys
def main():
    masked = signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    with open(pathlib.Path(__file__).parent / "said", "w") as file:
        print(*sys.argv, masked, file=file)
    signal.pause()
"""


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module that says how it was started, and then waits."""
    (tmp_path / "work.py").write_text(WORK)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "work"


def until(condition: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline_s, "not in time"
        select.select([], [], [], 0.01)


def next_pid(child: Child) -> int:
    """The process id after the supervisor's look at a child."""
    child.crashed()
    child.revive()
    return child.pid


def test_waiting_times_double_up_to_a_limit() -> None:
    backoff = Backoff()
    assert [backoff.take_s() for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    backoff.reset()
    assert backoff.take_s() == 0.5


def test_a_process_without_its_supervisor_ends_before_it_does_anything(work: str) -> None:
    command = boot.command(work, ["a"])
    command[command.index(str(os.getpid()))] = "1"
    done = subprocess.run(command, capture_output=True, timeout=LIMIT_S, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"")


def test_ctrl_c_is_kept_from_a_process_from_its_start(work: str, tmp_path: Path) -> None:
    child = Child("a", [work, "one", "two"])
    child.start()
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    os.kill(child.pid, signal.SIGINT)
    said = tmp_path / "said"
    until(lambda: said.exists() and said.read_text().endswith("\n"))
    os.kill(child.pid, signal.SIGINT)
    assert said.read_text() == "-c one two True\n"
    assert child.crashed() is None
    child.send(signal.SIGTERM)
    child.wait(time.monotonic() + LIMIT_S)


def test_a_muted_end_is_no_crash_and_unmuting_starts_at_once(work: str) -> None:
    child = Child("a", [work])
    for _ in range(3):
        child.revive()
        assert child.pid
        child.mute()
        until(lambda: child.crashed() is not None or not child.pid)
        child.revive()
        assert not child.pid
        child.unmute()
    child.revive()
    assert child.pid
    assert child.restarts == 0
    child.send(signal.SIGKILL)
    until(lambda: child.crashed() == -signal.SIGKILL)
    until(lambda: next_pid(child))
    assert child.restarts == 1
    child.send(signal.SIGKILL)
    child.wait(time.monotonic() + LIMIT_S)


def test_unmuting_before_the_process_has_ended_is_no_crash(work: str) -> None:
    child = Child("a", [work])
    child.revive()
    first = child.pid
    child.mute()
    child.unmute()
    until(lambda: next_pid(child) not in (0, first))
    assert child.restarts == 0
    child.send(signal.SIGKILL)
    child.wait(time.monotonic() + LIMIT_S)


class Watched:
    """A supervisor of a simulated stream, driven by hand."""

    def __init__(self, folder: Path) -> None:
        text = {"a": Text(source="simulator")}
        self.supervisor = Supervisor(Config(name="x", run_dir=str(folder / "r"), text=text))
        self.supervisor.start()

    def step_until(self, condition: Callable[[], object], limit_s: float = LIMIT_S) -> None:
        deadline_s = time.monotonic() + limit_s
        while not condition():
            assert time.monotonic() < deadline_s, "not in time"
            self.supervisor.step(20)

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self.supervisor._crew]

    @property
    def all_reported(self) -> bool:
        return [
            self.supervisor.health[s].pid for s in ("node", STREAM) if s in self.supervisor.health
        ] == self.pids


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    made = Watched(tmp_path)
    yield made
    made.supervisor.stop()


@pytest.mark.slow
@pytest.mark.slow
def test_a_pause_of_the_supervisor_is_no_silence_of_the_others(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.step_until(lambda: watched.all_reported)
    monkeypatch.setattr(supervisor, "SILENCE_S", 2.5)
    pids = watched.pids
    for pid in pids:  # as Ctrl-Z does
        os.kill(pid, signal.SIGSTOP)
    select.select([], [], [], 3.0)
    watched.supervisor.step(0)
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    began_s = time.monotonic()
    watched.step_until(lambda: time.monotonic() > began_s + 3.0)
    assert watched.pids == pids
    os.kill(pids[1], signal.SIGSTOP)  # this one hangs
    watched.step_until(lambda: watched.pids[1] not in (0, pids[1]))


@pytest.mark.slow
def test_a_process_that_hangs_before_its_first_report_is_killed(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    hung = watched.pids[1]
    os.kill(hung, signal.SIGSTOP)
    watched.step_until(lambda: "node" in watched.supervisor.health)
    monkeypatch.setattr(supervisor, "FIRST_REPORT_S", 1.0)
    watched.step_until(lambda: watched.pids[1] != hung)
    monkeypatch.undo()
    watched.step_until(lambda: watched.all_reported)


def test_a_node_that_ends_without_a_fault_ends_the_run(watched: Watched) -> None:
    watched.step_until(lambda: watched.all_reported)
    os.kill(watched.pids[0], signal.SIGTERM)
    watched.step_until(lambda: watched.supervisor.stopping)
