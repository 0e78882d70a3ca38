"""One run that `chaos` has started: its process, what it says, and what it leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import msgspec

from pipeline import boot, child
from pipeline.config import Config
from pipeline.control import request

STOP_S = 20.0
END_S = 3.0  # so long the processes of a run that was ended may take to end


class Host:
    """Starts, watches and ends one run. `folder` is where `chaos` keeps what the sensors read."""

    def __init__(self, config: Config, folder: Path) -> None:
        self.config = config
        self._folder = folder
        self._path = folder / f"{config.name}.json"
        self._errors = folder / f"{config.name}.txt"
        child.write_config(config, self._path)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the run; it ends with this process."""
        command = boot.command("pipeline.chaos.process", [str(self._folder), str(self._path)])
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors
            )

    @property
    def pid(self) -> int:
        """The supervisor's; 0 before the start."""
        return self._process.pid if self._process else 0

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll() if self._process else None

    @property
    def said(self) -> list[str]:
        """What the run has said on stderr."""
        return self._errors.read_text(encoding="utf-8", errors="replace").splitlines()

    def unmute(self, name: str) -> None:
        """Let a process that gave up start again."""
        request(self.config.directory, "unmute", name)

    def stop(self) -> None:
        """Ask the run to end; `result` waits for it."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def result(self) -> dict[str, Any] | None:
        """What the run printed at its end; None if it failed or had to be killed."""
        if self._process is None:
            return None
        try:
            out = self._process.communicate(timeout=STOP_S)[0]
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            return None
        if self._process.returncode != 0:
            return None
        found: dict[str, Any] = msgspec.json.decode(out)
        return found

    def left_behind(self) -> list[str]:
        """The files of the run directory that are there still."""
        directory = self.config.directory
        return sorted(str(path.relative_to(directory.parent)) for path in directory.rglob("*"))


def orphans(folder: Path) -> list[int]:
    """Processes of the runs of a folder that do not end; those that are left are killed."""
    deadline_s = time.monotonic() + END_S
    while (found := processes(folder)) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    for pid in found:
        os.kill(pid, signal.SIGKILL)
    return found


def processes(folder: Path) -> list[int]:
    """The processes of the runs of a folder: it stands in the command line of each."""
    me, found = os.getpid(), []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes()
        except OSError:
            continue
        pid = int(path.parent.name)
        if pid != me and b"pipeline.boot" in command and os.fsencode(folder) in command:
            found.append(pid)
    return found
