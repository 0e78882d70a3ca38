"""A run of the real command, in a runtime directory of its own, read while it runs."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

COMMAND = [str(Path(sys.executable).parent / "sensorium")]
LIMIT_S = 20.0

SIMULATED = """
name = "home"
[camera.room]
source = "simulator"
rate_hz = 15
resize = [320, 240]
[microphone.room]
source = "simulator"
max_age_ms = 500
[text.events]
source = "simulator"
[readings.climate]
source = "simulator"
rate_hz = 5
max_age_ms = 500
[out]
jsonl = "-"
"""


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "XDG_RUNTIME_DIR": str(folder), "OMP_NUM_THREADS": "1"}


def sensorium(
    folder: Path, *arguments: str, limit_s: float = 60.0, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=limit_s,
        check=False,
        **options,
    )


class Run:
    """`sensorium run` of a configuration that writes JSON lines to stdout."""

    def __init__(
        self, folder: Path, config: str, *arguments: str, prefix: Sequence[str] = (), **options: Any
    ) -> None:
        """`prefix` is a command that runs the rest; `options` go to subprocess.Popen."""
        self.folder = folder
        path = folder / "hub.toml"
        path.write_text(config)
        self.process = subprocess.Popen(
            [*prefix, *COMMAND, "run", str(path), *arguments],
            env=environment(folder),
            stdout=subprocess.PIPE,
            stdin=subprocess.PIPE,
            **options,
        )
        self.predictions: list[dict[str, Any]] = []

    def next(self) -> dict[str, Any]:
        """The next prediction; the test's time-out is the limit."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the run ended with exit code {self.process.wait(LIMIT_S)}"
        self.predictions.append(json.loads(line))
        return self.predictions[-1]

    def until(
        self, condition: Callable[[dict[str, Any]], bool], limit_s: float = LIMIT_S
    ) -> dict[str, Any]:
        """The first prediction from now on for which the condition holds."""
        deadline_s = time.monotonic() + limit_s
        while not condition(prediction := self.next()):
            assert time.monotonic() < deadline_s, f"not in time; last was {prediction}"
        return prediction

    def status(self) -> dict[str, dict[str, Any]]:
        """{process name: its status}."""
        reply = sensorium(self.folder, "status", "--json")
        return {process["name"]: process for process in json.loads(reply.stdout)["processes"]}

    def stop(self) -> float:
        """Press Ctrl-C; the seconds until everything has ended."""
        pids = [process["pid"] for process in self.status().values()]
        started_s = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=LIMIT_S)
        took_s = time.monotonic() - started_s
        assert not [pid for pid in pids if pid and alive(pid)]
        return took_s

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            self.process.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()


def assert_every_tick(predictions: Sequence[Mapping[str, Any]], period_s: float = 0.1) -> None:
    """Predictions lie on ticks, and none is left out but for a hiccup of the machine itself.

    One in a hundred may be: a late tick is skipped and counted. `t` has milliseconds.
    """
    steps_s = [b["t"] - a["t"] for a, b in pairwise(predictions)]
    ticks = [round(step_s / period_s) for step_s in steps_s]
    assert all(abs(s - n * period_s) < 0.003 for s, n in zip(steps_s, ticks, strict=True)), steps_s
    assert sum(ticks) - len(ticks) <= max(1, len(ticks) // 100), steps_s


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def children(folder: Path) -> dict[int, str]:
    """{pid: stream or module} of the processes of runs in a folder, by their command lines."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().rstrip(b"\0").split(b"\0")
        except OSError:
            continue
        is_child = any(b"pipeline.boot" in word for word in words)
        if is_child and any(os.fsencode(folder) in word for word in words):
            module, *arguments = map(os.fsdecode, words[words.index(b"-c") + 2 :])
            found[int(path.parent.name)] = arguments[2] if len(arguments) > 2 else module
    return {pid: name for pid, name in found.items() if alive(pid)}


def until(condition: Callable[[], object], limit_s: float = LIMIT_S) -> None:
    deadline_s = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline_s, "not in time"
        select.select([], [], [], 0.01)


def left_behind(folder: Path) -> list[str]:
    """Files that a run left in its runtime directory."""
    return [str(path) for path in (folder / "sensorium").rglob("*") if not path.is_dir()]
