"""The supervisor of a run: starts every process, restarts sensors, ends them all, answers control.

Sensors restart after a back-off. The node's death, or a configuration error that a sensor finds,
ends the run. A muted sensor has no process, so its device is really off.
"""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Iterable, Iterator

from pipeline import child
from pipeline.config import Config, Text
from pipeline.control import ControlServer, ProcessStatus, Reply, Request
from pipeline.endpoint import warnings
from pipeline.error import ConfigError, SensoriumError
from pipeline.key import read_key
from pipeline.prediction import Prediction
from pipeline.record import plan
from pipeline.record.clock import read_clocks
from pipeline.remote import relay_name
from pipeline.run_directory import RunDirectory
from pipeline.sample import Health
from pipeline.spawn import Child
from pipeline.subscriber import Subscriber

SILENCE_S = 6.0  # a process whose loop has reported no health for so long hangs
FIRST_REPORT_S = 30.0  # the same, of a process that starts
PAUSE_S = 1.0  # between two looks: this process was stopped, and so may the others have been
SENSOR_STOP_S = 0.8
NODE_STOP_S = 0.8
RECORDER_STOP_S = 10.0  # a slow disk

log = logging.getLogger(__name__)


class Supervisor:
    """All processes of one run. Raises ConfigError, SensoriumError when the run cannot go on."""

    def __init__(self, config: Config) -> None:
        self._config = config
        if config.needs_key:
            read_key()  # said here, once, before anything is started
        self.clocks = read_clocks()
        plan.check_start(config, self.clocks)
        self._directory = RunDirectory(config)
        path = self._directory.config_path
        self._relays = {
            relay_name(stream): Child(relay_name(stream), ["pipeline.relay", str(path), stream])
            for stream, line in config.local_streams.items()
            if line.remote is not None
        }
        self._sensors = {
            stream: Child(
                stream,
                ["sensors.process", str(path), stream],
                stdin=isinstance(line, Text) and line.source == "stdin",
            )
            for stream, line in config.sensors.items()
        }
        self._node = Child("node", ["pipeline.live", str(path)])
        pair = (str(self.clocks.monotonic_ns), str(self.clocks.wall_ns))
        recorder = Child(plan.RECORDER, ["pipeline.record.process", str(path), *pair])
        self._recorder = recorder if plan.is_wanted(config) else None
        self._control = ControlServer(config.control_endpoint, self._handle)
        endpoint = config.predictions_endpoint
        self._bus = Subscriber(
            {f"prediction/{config.name}": (endpoint, Text(source="", bound=4096))},
            [endpoint, config.recorder_endpoint, *_health_endpoints(config)],
        )
        self._stopping = False
        self._looked_s = self._patient_s = time.monotonic()

    @property
    def health(self) -> dict[str, Health]:
        """The newest health of each process."""
        return self._bus.health

    def start(self) -> None:
        """Start everything, the node first, which takes longest."""
        for warning in warnings(self._config):
            log.warning("%s", warning)
        for process in self._processes():
            process.start()

    def step(self, timeout_ms: float) -> list[Prediction]:
        """Do what is due, then return the predictions that came. Raises when the run must end."""
        self._control.serve()
        # First what came: after a pause all were else taken for silent.
        predictions = [s for s in self._bus.receive(timeout_ms) if isinstance(s, Prediction)]
        now_s = time.monotonic()
        if now_s - self._looked_s > PAUSE_S:
            self._patient_s = now_s
        self._looked_s = now_s
        for process in self._processes():
            self._look_after(process)
        return predictions

    @property
    def stopping(self) -> bool:
        """Whether somebody asked the run to stop."""
        return self._stopping

    def stop(self) -> list[Prediction]:
        """End the sensors, then the rest, leave nothing behind; returns the last predictions.

        In this order node and relays hear each sensor's last count, and the recorder hears all of
        them, so that their ledgers close.
        """
        _end(self._sensors.values(), SENSOR_STOP_S)
        _end([self._node, *self._relays.values()], NODE_STOP_S)
        if self._recorder:
            _end([self._recorder], RECORDER_STOP_S)
        last = [s for s in self._bus.receive(100) if isinstance(s, Prediction)]
        last += [s for s in self._bus.receive(0) if isinstance(s, Prediction)]
        self._bus.close()
        self._control.close()
        self._directory.close()
        return last

    def _processes(self) -> list[Child]:
        recorder = [self._recorder] if self._recorder else []
        return [self._node, *recorder, *self._sensors.values(), *self._relays.values()]

    def _look_after(self, process: Child) -> None:
        code = process.crashed()
        if code is not None:
            self._has_ended(process, code)
        if process.pid:
            self._end_if_it_hangs(process)
        elif not self._stopping:
            process.revive()

    def _has_ended(self, process: Child, code: int) -> None:
        if process is self._node and code == 0:  # nobody reads its output any more
            self._stopping = True
        elif process is self._node:
            raise SensoriumError(f"the fusion node ended with exit code {code}; see above")
        elif process is self._recorder and code == child.EXIT_CONFIG:  # as when a disk is full
            process.mute()
            log.warning("process=%s has ended and stays down; the run goes on", process.name)
        else:
            self._bus.health.pop(process.name, None)
            if code == child.EXIT_CONFIG:
                raise ConfigError(f"{process.name} cannot run as configured; see above")
            log.warning("process=%s ended with exit code %d and is restarted", process.name, code)

    def _end_if_it_hangs(self, process: Child) -> None:
        health = self._bus.health.get(process.name)
        heard_s, limit_s = process.started_s, FIRST_REPORT_S
        if health and health.pid == process.pid:
            heard_s, limit_s = health.t_publish_ns / 1e9, SILENCE_S
        silence_s = time.monotonic() - max(heard_s, self._patient_s)
        if silence_s > limit_s:
            process.kill(f"is silent for {silence_s:.1f} s")

    def _handle(self, request: Request) -> Reply:
        match request.command:
            case "status":
                links = [self._link(s) for s in self._config.streams if s not in self._sensors]
                return Reply(processes=[*map(self._status, self._processes()), *links])
            case "stop":
                self._stopping = True
                return Reply()
            case "trigger":
                return self._trigger()
        sensor = self._sensors.get(request.stream)
        if sensor is None:
            return Reply(error=f"no stream {request.stream!r}: {', '.join(self._sensors)}")
        if request.command == "mute":
            sensor.mute()
        elif sensor.muted:
            sensor.unmute()
            self._bus.health.pop(request.stream, None)
        return Reply()

    def _trigger(self) -> Reply:
        health, recorder = self._bus.health.get(plan.RECORDER), self._recorder
        if recorder is None or not self._config.incident.directory:
            return Reply(error="there are no incidents in this run: set incident.directory")
        if health is None or health.pid != recorder.pid or health.state != "running":
            return Reply(error="the recorder is not running; see `sensorium status`")
        recorder.send(signal.SIGUSR1)
        return Reply()

    @property
    def recorder_restarts(self) -> int:
        """How often the recorder was started again."""
        return self._recorder.restarts if self._recorder else 0

    def _status(self, process: Child) -> ProcessStatus:
        health = self._bus.health.get(process.name)
        state = health.state if health else "starting"
        if process.muted:
            state = "failed" if process is self._recorder else "muted"
        return ProcessStatus(
            name=process.name,
            pid=process.pid,
            state=state if process.pid or process.muted else "restarting",
            restarts=process.restarts,
            last_error=health.last_error if health else "",
            counters=health.counters if health else {},
        )

    def _link(self, stream: str) -> ProcessStatus:
        """A stream that another process publishes, here or elsewhere, as it is heard."""
        health = self._bus.health.get(stream)
        return ProcessStatus(
            name=stream,
            pid=0,
            state=health.state if health else "starting",
            restarts=0,
            last_error=health.last_error if health else "",
            counters=health.counters if health else {},
        )


def _health_endpoints(config: Config) -> Iterator[str]:
    """Where the processes of a run report, but for the node."""
    for stream, line in config.local_streams.items():
        yield config.endpoint(stream)
        if line.remote is not None:
            yield config.relay_endpoint(stream)


def _end(processes: Iterable[Child], limit_s: float) -> None:
    processes = list(processes)
    for process in processes:
        process.send(signal.SIGTERM)
    deadline_s = time.monotonic() + limit_s
    for process in processes:
        process.wait(deadline_s)
