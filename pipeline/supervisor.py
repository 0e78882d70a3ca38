"""The supervisor of a run: starts every process, restarts those that end, ends them all.

A sensor that crashes is started again after a back-off; after five crashes in a minute it has
failed, and is tried every 30 s. Only the node and required streams end a run that has begun.
"""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Iterable, Sequence

from pipeline import child, footprint
from pipeline.bus.endpoint import warnings
from pipeline.bus.key import read_key
from pipeline.bus.subscriber import Subscriber
from pipeline.config import Config
from pipeline.control import ControlServer
from pipeline.crew import SENSOR, Crew, health_endpoints
from pipeline.desk import Desk
from pipeline.error import ConfigError, SensoriumError
from pipeline.home.check import check_start, outlet_warnings
from pipeline.prediction import Prediction
from pipeline.rate import Rates
from pipeline.record import plan
from pipeline.record.clock import read_clocks
from pipeline.requirement import Requirements
from pipeline.run_directory import RunDirectory
from pipeline.sample import Health
from pipeline.spawn import Child
from pipeline.stream import Text

SILENCE_S = 6.0  # a process whose loop has reported no health for so long hangs
FIRST_REPORT_S = 30.0  # the same, of a process that starts
PAUSE_S = 1.0  # between two looks: this process was stopped, and so may the others have been
SENSOR_STOP_S = 0.8
NODE_STOP_S = 0.8
RECORDER_STOP_S = 10.0  # a slow disk
OUTLET_STOP_S = 3.0  # a slow broker

log = logging.getLogger(__name__)


class Supervisor:
    """All processes of one run. Raises ConfigError, SensoriumError when the run cannot go on."""

    def __init__(self, config: Config, sensor: Sequence[str] = SENSOR) -> None:
        self._config = config
        if config.needs_key:
            read_key()  # said here, once, before anything is started
        self.clocks = read_clocks()
        plan.check_start(config, self.clocks)
        check_start(config)
        footprint.check(config)
        self._directory = RunDirectory(config)
        self._crew = Crew(config, self._directory.config_path, self.clocks, sensor)
        endpoint = config.predictions_endpoint
        self._bus = Subscriber(
            {f"prediction/{config.name}": (endpoint, Text(source="", bound=4096))},
            list(health_endpoints(config)),
        )
        self._rates = Rates()
        self._desk = Desk(config, self._crew, self._bus.health, self._rates)
        self._control = ControlServer(config.control_endpoint, self._desk.handle)
        self._requirements = Requirements(config, self._crew)
        self._looked_s = self._patient_s = time.monotonic()

    @property
    def health(self) -> dict[str, Health]:
        """The newest health of each process."""
        return self._bus.health

    def start(self) -> None:
        """Start everything, the node first, which takes longest."""
        for warning in (*warnings(self._config), *outlet_warnings(self._config)):
            log.warning("%s", warning)
        for process in self._crew:
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
        for process in self._crew:
            self._look_after(process)
        self._rates.observe(self._bus.health)
        if not self.stopping:
            self._requirements.check(self._bus.health, now_s)
        return predictions

    @property
    def stopping(self) -> bool:
        """Whether somebody asked the run to stop."""
        return self._desk.stopping

    def stop(self) -> list[Prediction]:
        """End the sensors, then the rest, leave nothing behind; returns the last predictions.

        In this order node and relays hear each sensor's last count, and the recorder hears all of
        them, so that their ledgers close.
        """
        _end(self._crew.sensors.values(), SENSOR_STOP_S)
        _end([self._crew.node, *self._crew.relays.values()], NODE_STOP_S)
        if self._crew.recorder:
            _end([self._crew.recorder], RECORDER_STOP_S)
        _end(self._crew.outlets, OUTLET_STOP_S)
        last = [s for s in self._bus.receive(100) if isinstance(s, Prediction)]
        last += [s for s in self._bus.receive(0) if isinstance(s, Prediction)]
        self._bus.close()
        self._control.close()
        self._directory.close()
        return last

    def _look_after(self, process: Child) -> None:
        code = process.crashed()
        if code is not None:
            self._has_ended(process, code)
        if process.pid:
            self._end_if_it_hangs(process)
        elif not self.stopping:
            process.revive()

    def _has_ended(self, process: Child, code: int) -> None:
        if process is self._crew.node:
            if code:
                raise SensoriumError(f"the fusion node {process.last_end}; see above")
            self._desk.stopping = True  # nobody reads its output any more
        elif code != child.EXIT_CONFIG:
            self._bus.health.pop(process.name, None)
            after = "has failed, and is tried now and then" if process.failed else "is restarted"
            log.warning("process=%s %s and %s", process.name, process.last_end, after)
        elif process is self._crew.recorder:  # as when a disk is full
            process.mute()
            log.warning("process=%s has ended and stays down; the run goes on", process.name)
        elif process.starts == 1:
            raise ConfigError(f"{process.name} cannot run as configured; see above")
        else:  # it could before, as a file that was removed since
            self._bus.health.pop(process.name, None)
            process.fail()
            log.warning("process=%s cannot run as configured any more; see above", process.name)

    def _end_if_it_hangs(self, process: Child) -> None:
        health = self._bus.health.get(process.name)
        heard_s, limit_s = process.started_s, FIRST_REPORT_S
        if health and health.pid == process.pid:
            heard_s, limit_s = health.t_publish_ns / 1e9, SILENCE_S
        silence_s = time.monotonic() - max(heard_s, self._patient_s)
        if silence_s > limit_s:
            process.kill(f"is silent for {silence_s:.1f} s")

    @property
    def recorder_restarts(self) -> int:
        """How often the recorder was started again."""
        return self._crew.recorder.restarts if self._crew.recorder else 0


def _end(processes: Iterable[Child], limit_s: float) -> None:
    processes = list(processes)
    for process in processes:
        process.send(signal.SIGTERM)
    deadline_s = time.monotonic() + limit_s
    for process in processes:
        process.wait(deadline_s)
