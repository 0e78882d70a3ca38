"""What a supervisor makes of sensors that crash, that are required, and that cannot start again."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from pipeline import backoff, requirement, restart
from pipeline.config import Config
from pipeline.control import ProcessStatus, Request
from pipeline.crew import Crew
from pipeline.error import ConfigError, RequiredStreamError
from pipeline.record.clock import read_clocks
from pipeline.requirement import Requirements
from pipeline.stream import Camera, Readings, Text
from pipeline.supervisor import Supervisor
from tests.parts import made_clip
from tests.pipeline.messages import health

LIMIT_S = 20.0
TEXT, CLIMATE, CAMERA = "text/a", "readings/a", "camera/a"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting times that a test has time for."""
    monkeypatch.setattr(backoff, "FIRST_S", 0.02)
    monkeypatch.setattr(restart, "RETRY_S", 1.0)


class Run:
    """A supervisor of two or three sensors, driven by hand."""

    def __init__(self, folder: Path, config: Config) -> None:
        self.folder = folder / "r"
        self.supervisor = Supervisor(config)
        self.supervisor.start()

    def until(self, condition: Callable[[], object]) -> None:
        deadline_s = time.monotonic() + LIMIT_S
        while not condition():
            assert time.monotonic() < deadline_s, "not in time"
            self.supervisor.step(10)

    def of(self, name: str) -> ProcessStatus:
        """The status of one process."""
        reply = self.supervisor._desk.handle(Request(command="status")).processes
        return next(process for process in reply if process.name == name)

    def runs(self, name: str) -> bool:
        return self.of(name).state in ("running", "stuck")

    def crash(self, name: str) -> None:
        """Let it crash as often as it takes to fail."""
        for _ in range(restart.MAX_CRASHES):
            self.until(lambda: self.of(name).pid)
            os.kill(self.of(name).pid, signal.SIGKILL)
            self.until(lambda: not self.of(name).pid)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    made: list[Run] = []

    def start(**required: bool) -> Run:
        """The sensors text/a, readings/a, and with a clip there also camera/a."""
        clip, cameras = tmp_path / "clip.mp4", {}
        if clip.exists():
            line = Camera(source=str(clip), loop=True, required=required.get("camera", False))
            cameras = {"a": line}
        config = Config(
            name="x",
            run_dir=str(tmp_path / "r"),
            camera=cameras,
            text={"a": Text(source="simulator", required=required.get("text", False))},
            readings={"a": Readings(source="simulator")},
        )
        made.append(Run(tmp_path, config))
        return made[-1]

    yield start
    for each in made:
        each.supervisor.stop()


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    pictures = (rng.integers(0, 200, (48, 64, 3), np.uint8) for _ in range(5))
    return made_clip(tmp_path / "clip.mp4", pictures)


def test_a_sensor_that_crashes_five_times_has_failed_and_is_tried_again(
    run: Callable[..., Run],
) -> None:
    made = run()
    made.until(lambda: made.runs(TEXT) and made.runs(CLIMATE))
    other = made.of(CLIMATE).pid
    made.crash(TEXT)
    failed = made.of(TEXT)
    assert (failed.state, failed.last_error) == ("failed", "was ended by SIGKILL")
    made.until(lambda: made.runs(TEXT))
    assert made.of(TEXT).restarts == restart.MAX_CRASHES
    os.kill(made.of(TEXT).pid, signal.SIGKILL)
    made.until(lambda: made.of(TEXT).state == "failed")  # at once, and not after five more
    assert made.of(CLIMATE).pid == other
    assert made.of("node").restarts == 0


def test_a_required_stream_that_has_failed_ends_the_run_and_is_named(
    run: Callable[..., Run],
) -> None:
    made = run(text=True)
    made.until(lambda: made.runs(TEXT))
    with pytest.raises(RequiredStreamError, match=r"text/a is required and .* SIGKILL"):
        made.crash(TEXT)


def test_a_required_stream_that_is_lost_for_long_ends_the_run(
    run: Callable[..., Run], clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = run(camera=True)
    made.until(lambda: made.runs(CAMERA))
    monkeypatch.setattr(requirement, "DOWN_S", 1.0)
    clip.unlink()
    with pytest.raises(RequiredStreamError, match=r"camera/a is required .*clip.mp4: is no"):
        made.until(lambda: False)


def test_what_could_start_before_does_not_end_the_run_when_it_no_longer_can(
    run: Callable[..., Run], clip: Path
) -> None:
    made = run()
    made.until(lambda: made.runs(CAMERA))
    film = clip.read_bytes()
    clip.unlink()
    os.kill(made.of(CAMERA).pid, signal.SIGKILL)
    made.until(lambda: made.of(CAMERA).state == "failed")
    assert made.of(CAMERA).last_error == "ended with exit code 2"
    clip.write_bytes(film)
    made.until(lambda: made.runs(CAMERA))


def test_what_could_never_start_ends_the_run(run: Callable[..., Run], clip: Path) -> None:
    made = run()
    clip.write_bytes(b"")
    with pytest.raises(ConfigError, match="camera/a cannot run as configured"):
        made.until(lambda: False)


@pytest.mark.parametrize(
    ("state", "age_s", "why"),
    [
        ("running", 0.0, ""),
        ("stuck", 0.0, ""),
        ("ended", 0.0, ""),
        ("starting", 0.0, ""),
        ("lost", 0.0, "lost"),
        ("disconnected", 0.0, "disconnected"),
        ("running", 7.0, "silent"),
    ],
)
def test_when_a_required_stream_of_another_process_is_down(
    tmp_path: Path, state: str, age_s: float, why: str
) -> None:
    line = Text(source="external", required=True)
    config = Config(name="x", text={"a": line})
    needs = Requirements(config, Crew(config, tmp_path / "run.json", read_clocks()))
    now_s = 1000.0
    for n in range(31):
        said = health(TEXT, int((now_s + n - age_s) * 1e9), state)
        needs.check({TEXT: said}, now_s + n)
    late = {TEXT: health(TEXT, int((now_s + 31 - age_s) * 1e9), state)}
    if not why:
        needs.check(late, now_s + 31)
        return
    with pytest.raises(
        RequiredStreamError, match=f"text/a is required and is down for 31 s: .*{why}"
    ):
        needs.check(late, now_s + 31)
