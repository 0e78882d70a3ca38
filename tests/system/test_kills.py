"""kill -9 of anything, at any time: no orphan, no stale file, and the next start works."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.system.run import (
    COMMAND,
    LIMIT_S,
    SIMULATED,
    children,
    environment,
    left_behind,
    sensorium,
    until,
)

NODE = "pipeline.live"
SENSORS = ("camera/room", "microphone/room", "text/events", "readings/climate")
VICTIMS = ("supervisor", NODE, *SENSORS, "all")
N_CHILDREN = 1 + len(SENSORS)
STARTED_S = 3.0  # by then all is running; kills come at any time before


class Round:
    """A run, one kill in it, and what must hold after it."""

    def __init__(self, folder: Path, process: subprocess.Popen[str]) -> None:
        self.folder, self.process = folder, process

    def kill(self, victim: str) -> None:
        """Kill it, and see that the others do as they should."""
        named = self._named(victim)
        pids = [pid for pid, name in named.items() if victim in (name, "all")]
        if victim in ("supervisor", "all"):
            pids.insert(0, self.process.pid)
        assert pids
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        if victim in SENSORS:
            until(lambda: self._is_back(victim, pids[0]))
            self.process.send_signal(signal.SIGINT)
        _, errors = self.process.communicate(timeout=LIMIT_S)
        until(lambda: not children(self.folder))
        self._check_end(victim, errors)

    def _named(self, victim: str) -> Mapping[int, str]:
        """The children, as soon as the victim is among them."""
        wanted = {victim} & {NODE, *SENSORS}
        found: dict[int, str] = {}

        def is_there() -> bool:
            found.clear()
            found.update(children(self.folder))
            return wanted <= set(found.values()) and bool(found)

        until(is_there)
        return found

    def _is_back(self, victim: str, killed: int) -> bool:
        now = children(self.folder)
        return victim in now.values() and killed not in now and NODE in now.values()

    def _check_end(self, victim: str, errors: str) -> None:
        if victim in ("supervisor", "all"):
            assert self.process.returncode == -signal.SIGKILL
            return  # what nobody was left to remove, the next start does
        assert self.process.returncode == (0 if victim in SENSORS else 2), errors
        assert ("the fusion node was ended by SIGKILL" in errors) == (victim == NODE), errors
        assert left_behind(self.folder) == []


@pytest.mark.slow
def test_whatever_is_killed_nothing_stays_and_the_next_start_works(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    seed = pytestconfig.getoption("--kill-seed")
    seed = random.SystemRandom().randrange(2**32) if seed is None else seed
    sys.stdout.write(f"--kill-seed {seed}\n")
    order = random.Random(seed)
    config = tmp_path / "hub.toml"
    config.write_text(SIMULATED.replace('jsonl = "-"', ""))
    before = set(os.listdir("/dev/shm"))
    victims: list[str] = []
    for number in range(pytestconfig.getoption("--run-kills")):
        if not victims:  # each of them as often
            victims = order.sample(VICTIMS, len(VICTIMS))
        victim, after_s = victims.pop(), order.uniform(0.0, STARTED_S)
        sys.stdout.write(f"{number}: {victim} after {after_s:.2f} s\n")
        with subprocess.Popen(
            [*COMMAND, "run", str(config)],
            env=environment(tmp_path),
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        ) as process:
            until(lambda: children(tmp_path))
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(after_s)
            Round(tmp_path, process).kill(victim)
    done = sensorium(tmp_path, "run", str(config), "--seconds", "1", "--json")
    assert done.returncode == 0, done.stderr
    assert left_behind(tmp_path) == []
    assert set(os.listdir("/dev/shm")) <= before
