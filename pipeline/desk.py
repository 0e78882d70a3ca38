"""What the control endpoint answers: how each process is, and what it is told to do."""

from __future__ import annotations

import signal
from collections.abc import MutableMapping

from pipeline.config import Config
from pipeline.control import ProcessStatus, Reply, Request
from pipeline.crew import Crew
from pipeline.rate import Rates
from pipeline.record import plan
from pipeline.sample import Health
from pipeline.spawn import Child


class Desk:
    """Handles the requests of one run. `stopping` says whether somebody asked it to stop."""

    def __init__(
        self, config: Config, crew: Crew, healths: MutableMapping[str, Health], rates: Rates
    ) -> None:
        self._config, self._crew = config, crew
        self._healths, self._rates = healths, rates
        self.stopping = False

    def handle(self, request: Request) -> Reply:
        """Carry out a request; the answer says why where it cannot be."""
        match request.command:
            case "status":
                return Reply(processes=self._all())
            case "stop":
                self.stopping = True
                return Reply()
            case "trigger":
                return self._trigger()
        recorder = self._crew.recorder
        if recorder and request.command == "unmute" and request.stream == recorder.name:
            recorder.unmute()  # it had given up, and there is room again
            return Reply()
        sensor = self._crew.sensors.get(request.stream)
        if sensor is None:
            return Reply(error=f"no stream {request.stream!r}: {', '.join(self._crew.sensors)}")
        if request.command == "mute":
            sensor.mute()
        elif sensor.muted:
            sensor.unmute()
            self._healths.pop(request.stream, None)
        return Reply()

    def _trigger(self) -> Reply:
        health, recorder = self._healths.get(plan.RECORDER), self._crew.recorder
        if recorder is None or not self._config.incident.directory:
            return Reply(error="there are no incidents in this run: set incident.directory")
        if health is None or health.pid != recorder.pid or health.state != "running":
            return Reply(error="the recorder is not running; see `sensorium status`")
        recorder.send(signal.SIGUSR1)
        return Reply()

    def _all(self) -> list[ProcessStatus]:
        """The processes, then the streams that others publish, here or elsewhere, as heard."""
        own = [self._status(process.name, process) for process in self._crew]
        others = [s for s in self._config.streams if s not in self._crew.sensors]
        return own + [self._status(stream, None) for stream in others]

    def _status(self, name: str, process: Child | None) -> ProcessStatus:
        health = self._healths.get(name)
        last_error = health.last_error if health else ""
        return ProcessStatus(
            name=name,
            pid=process.pid if process else 0,
            state=self._state(process, health),
            restarts=process.restarts if process else 0,
            last_error=last_error or (process.last_end if process else ""),
            counters=health.counters if health else {},
            faults=health.faults if health else [],
            rate_hz=self._rates.rate_hz(name) if health else None,
        )

    def _state(self, process: Child | None, health: Health | None) -> str:
        if process and process.muted:
            return "failed" if process is self._crew.recorder else "muted"
        if process and not process.pid:
            return "failed" if process.failed else "restarting"
        return health.state if health else "starting"
