"""The supervisor of a run: starts every process, restarts sensors, ends them all, answers control.

Sensors restart after a back-off. The node's death, or a configuration error that a sensor finds,
ends the run. A muted sensor has no process, so its device is really off.
"""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from pipeline import child
from pipeline.bus import Subscriber
from pipeline.config import Config, Text
from pipeline.control import ControlServer, ProcessStatus, Reply, Request
from pipeline.error import ConfigError, SensoriumError
from pipeline.prediction import Prediction
from pipeline.sample import Health

FIRST_BACKOFF_S = 0.5
MAX_BACKOFF_S = 30.0
SETTLED_S = 10.0  # a process that ran this long starts with the first back-off again
SILENCE_S = 6.0  # a process whose loop has reported no health for so long hangs
SUFFIXES = (".ipc", ".lock", ".mem", ".json")  # of the files that a run makes
SENSOR_STOP_S = 0.8
NODE_STOP_S = 0.8

log = logging.getLogger(__name__)


class Child:
    """One process of the run: how to start it, and how it has fared."""

    def __init__(self, name: str, command: list[str], *, stdin: bool = False) -> None:
        self.name, self.restarts, self.muted = name, 0, False
        self._command, self._stdin = command, stdin
        self._process: subprocess.Popen[bytes] | None = None
        self._backoff_s = FIRST_BACKOFF_S
        self._start_at_s = 0.0
        self._started_s = 0.0

    @property
    def pid(self) -> int:
        """The process id; 0 while there is none."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Start the process by exec, never by fork alone."""
        stdin = None if self._stdin else subprocess.DEVNULL
        # A folder of the user's that is called pipeline or sensors must not be taken for ours.
        environment = {**os.environ, "PYTHONSAFEPATH": "1"}
        command = [sys.executable, "-m", *self._command]
        self._process = subprocess.Popen(command, stdin=stdin, env=environment)
        self._started_s = time.monotonic()

    def revive(self) -> None:
        """Start it again if it is down and its back-off is over."""
        if not self._process and not self.muted and time.monotonic() >= self._start_at_s:
            self.start()
            self.restarts += 1

    def ended(self) -> int | None:
        """The exit code, once, of a process that has ended since the last call."""
        code = self._process.poll() if self._process else None
        if code is None:
            return None
        self._process = None
        now_s = time.monotonic()
        if now_s - self._started_s > SETTLED_S:
            self._backoff_s = FIRST_BACKOFF_S
        self._start_at_s = now_s + self._backoff_s
        self._backoff_s = min(2 * self._backoff_s, MAX_BACKOFF_S)
        return code

    def runs_since(self, seconds: float) -> bool:
        """Whether the process has been up for so long."""
        return self._process is not None and time.monotonic() - self._started_s > seconds

    def send(self, signal_number: int) -> None:
        """Signal the process, if it is up."""
        if self._process:
            self._process.send_signal(signal_number)

    def wait(self, deadline_s: float) -> None:
        """Wait for its end; at the deadline it is killed."""
        if not self._process:
            return
        try:
            self._process.wait(max(0.0, deadline_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.warning("process=%s did not stop in time and was killed", self.name)
            self._process.kill()
            self._process.wait()
        self._process = None


class Supervisor:
    """All processes of one run. Raises ConfigError, SensoriumError when the run cannot go on."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._directory = config.directory
        self._lock = _claim(self._directory)
        path = self._directory / "config.json"
        child.write_config(config, path)
        self._sensors = {
            stream: Child(
                stream,
                ["sensors.process", str(path), stream],
                stdin=isinstance(line, Text) and line.source == "stdin",
            )
            for stream, line in config.streams.items()
        }
        self._node = Child("node", ["pipeline.live", str(path)])
        self._control = ControlServer(config.control_endpoint, self._handle)
        endpoint = config.predictions_endpoint
        self._bus = Subscriber(
            {f"prediction/{config.name}": (endpoint, Text(source="", bound=4096))},
            [endpoint, *(config.endpoint(stream) for stream in config.streams)],
        )
        self._stopping = False

    @property
    def health(self) -> dict[str, Health]:
        """The newest health of each process."""
        return self._bus.health

    def start(self) -> None:
        """Start everything, the node first, which takes longest."""
        for process in self._processes():
            process.start()

    def step(self, timeout_ms: float) -> list[Prediction]:
        """Do what is due, then return the predictions that came. Raises when the run must end."""
        self._control.serve()
        for process in self._processes():
            self._look_after(process)
        return [s for s in self._bus.receive(timeout_ms) if isinstance(s, Prediction)]

    @property
    def stopping(self) -> bool:
        """Whether somebody asked the run to stop."""
        return self._stopping

    def stop(self) -> list[Prediction]:
        """End the sensors, then the node, then leave nothing behind; returns the last predictions.

        In this order the node hears each sensor's last count, and its ledger closes.
        """
        _end(self._sensors.values(), SENSOR_STOP_S)
        _end([self._node], NODE_STOP_S)
        last = [s for s in self._bus.receive(100) if isinstance(s, Prediction)]
        last += [s for s in self._bus.receive(0) if isinstance(s, Prediction)]
        self._bus.close()
        self._control.close()
        _clean(self._directory)
        os.close(self._lock)
        return last

    def _processes(self) -> list[Child]:
        return [self._node, *self._sensors.values()]

    def _look_after(self, process: Child) -> None:
        code = process.ended()
        if code is not None and not process.muted:
            if process is self._node:
                raise SensoriumError(f"the fusion node ended with exit code {code}; see above")
            if code == child.EXIT_CONFIG:
                raise ConfigError(f"{process.name} cannot run as configured; see above")
            log.warning("process=%s ended with exit code %d and is restarted", process.name, code)
            self._bus.health.pop(process.name, None)
        health = self._bus.health.get(process.name)
        if health and health.pid == process.pid and process.runs_since(SILENCE_S):
            silence_s = (time.monotonic_ns() - health.t_publish_ns) / 1e9
            if silence_s > SILENCE_S:
                log.warning("process=%s is silent for %.1f s: killed", process.name, silence_s)
                process.send(signal.SIGKILL)
        process.revive()

    def _handle(self, request: Request) -> Reply:
        match request.command:
            case "status":
                return Reply(processes=[self._status(process) for process in self._processes()])
            case "stop":
                self._stopping = True
                return Reply()
        sensor = self._sensors.get(request.stream)
        if sensor is None:
            return Reply(error=f"no stream {request.stream!r}: {', '.join(self._sensors)}")
        sensor.muted = request.command == "mute"
        if sensor.muted:
            sensor.send(signal.SIGTERM)
        return Reply()

    def _status(self, process: Child) -> ProcessStatus:
        health = self._bus.health.get(process.name)
        state = "muted" if process.muted else health.state if health else "starting"
        return ProcessStatus(
            name=process.name,
            pid=process.pid,
            state=state if process.pid or process.muted else "restarting",
            restarts=process.restarts,
            last_error=health.last_error if health else "",
            counters=health.counters if health else {},
        )


def _end(processes: Iterable[Child], limit_s: float) -> None:
    processes = list(processes)
    for process in processes:
        process.send(signal.SIGTERM)
    deadline_s = time.monotonic() + limit_s
    for process in processes:
        process.wait(deadline_s)


def _claim(directory: Path) -> int:
    """Make the run directory, private, and lock it for this run. Raises ConfigError."""
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(directory / "run.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(
            f"run_dir {directory}: cannot be written: {error.strerror}; set another one"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise ConfigError(f"run_dir {directory}: another run is using it") from error
    return lock


def _clean(directory: Path) -> None:
    """Remove what a run makes, and the folder if nothing else is in it."""
    for path in [path for suffix in SUFFIXES for path in directory.glob(f"*{suffix}")]:
        path.unlink(missing_ok=True)
    if not any(directory.iterdir()):
        directory.rmdir()
