"""Measures a whole run: all its processes, or the node alone while a log is played to it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from pipeline.child import Stop
from pipeline.config import Config
from pipeline.error import SensoriumError
from pipeline.latency.energy import EnergyMeter
from pipeline.latency.measurement import Measurement
from pipeline.latency.usage import Usage, costs, usages
from pipeline.loader import amend
from pipeline.log.reader import LogReader
from pipeline.prediction import Prediction
from pipeline.replay.settings import replay_config
from pipeline.summary import Summary
from pipeline.supervisor import Supervisor

STEP_MS = 50
START_LIMIT_S = 60.0
END_S = 3.0  # for a player that was told to end


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What came of one run. `ledger` is as `sensorium run --json` has it, of the whole run."""

    mode: str
    config: Config
    measured: Measurement
    wall_s: float
    first_prediction_s: float | None = None
    ledger: dict[str, Any] = field(default_factory=dict)
    processes: dict[str, dict[str, float | int]] = field(default_factory=dict)
    energy_j: Mapping[str, float] = field(default_factory=dict)


def measure_live(config: Config, seconds: float, warm_up_s: float, stop: Stop) -> Outcome:
    """Run the configured sensors and the node. Raises what a run raises."""
    return _Run("live", _without_stdout(config), warm_up_s).measure(seconds, stop, lambda: True)


def measure_paced(
    file: Path, overrides: Sequence[str], limits_s: tuple[float, float], stop: Stop
) -> Outcome:
    """Play a log onto the bus, to a node of its own; `limits_s`: (at most so long, warm-up)."""
    with LogReader(file) as log:
        config = replay_config(log, None, {}, overrides)
        played = [stream for stream in config.streams if stream in log.streams]
    own = [f"name={config.name}-bench", "record.file=", "incident.directory="]
    own += [f"{stream.replace('/', '.')}.source=external" for stream in config.streams]
    config = _without_stdout(amend(config, own, str(file)))
    if not played:
        raise SensoriumError(f"{file} holds no stream of its configuration: nothing can be played")
    command = [sys.executable, "-m", "pipeline.cli", "replay", str(file), "--bus"]
    for override in (*overrides, *own):
        command += ["--set", override]
    run = _Run("paced", config, limits_s[1])
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as player:
        try:
            return run.measure(limits_s[0], stop, lambda: player.poll() is None)
        finally:
            player.terminate()
            with suppress(subprocess.TimeoutExpired):
                player.wait(END_S)
            player.kill()


class _Run:
    def __init__(self, mode: str, config: Config, warm_up_s: float) -> None:
        self._mode, self._config = mode, config
        self._measured, self._energy = Measurement(config, warm_up_s), EnergyMeter()
        self._summary = Summary()
        self._began_ns = time.monotonic_ns()
        self._first_ns = 0
        self._before: dict[str, Usage] = {}
        self._after: dict[str, Usage] = {}

    def measure(self, seconds: float, stop: Stop, goes_on: Callable[[], bool]) -> Outcome:
        """For some seconds after the warm-up, or until asked to stop, or until it is over."""
        supervisor = Supervisor(self._config)
        deadline_s = time.monotonic() + START_LIMIT_S
        try:
            supervisor.start()
            while goes_on() and not (stop.is_set() or supervisor.stopping):
                self._take(supervisor.step(STEP_MS), supervisor)
                if self._measured.length_s >= seconds:
                    break
                if not self._summary.first_ns and time.monotonic() > deadline_s:
                    raise SensoriumError(f"no prediction came within {START_LIMIT_S:g} s")
            self._after = usages(_pids(supervisor))
        finally:
            supervisor.stop()
        if not self._measured.warmed_up:
            raise SensoriumError("the run ended before its warm-up did: measure for longer")
        return self._outcome(supervisor)

    def _take(self, predictions: Sequence[Prediction], supervisor: Supervisor) -> None:
        for prediction in predictions:
            self._summary.add(prediction)
            self._measured.add(prediction)
            if not self._first_ns and _is_first(prediction, self._config):
                self._first_ns = prediction.t_emit_ns
        if self._measured.warmed_up:  # a player may be heard of only later
            self._energy.look(time.monotonic_ns())
            pids = _pids(supervisor)
            self._before |= usages({n: pid for n, pid in pids.items() if n not in self._before})

    def _outcome(self, supervisor: Supervisor) -> Outcome:
        node = supervisor.health.get("node")
        counters: Mapping[str, int] = node.counters if node else {}
        first_s = (self._first_ns - self._began_ns) / 1e9
        return Outcome(
            mode=self._mode,
            config=self._config,
            measured=self._measured,
            wall_s=self._measured.length_s,
            first_prediction_s=round(first_s, 3) if self._first_ns else None,
            ledger=self._summary.result(list(self._config.streams), counters),
            processes=costs(self._before, self._after),
            energy_j=self._energy.joules,
        )


def _is_first(prediction: Prediction, config: Config) -> bool:
    """Whether it counts as the first: it uses a camera, if there is one."""
    cameras = [stream for stream in config.streams if stream.startswith("camera/")]
    return any(stream in prediction.inputs for stream in cameras or prediction.inputs)


def _pids(supervisor: Supervisor) -> dict[str, int]:
    """{name: pid}; one process may play several streams."""
    names: dict[int, list[str]] = {}
    for name, health in supervisor.health.items():
        names.setdefault(health.pid, []).append(name)
    return {", ".join(sorted(shared)): pid for pid, shared in names.items() if pid}


def _without_stdout(config: Config) -> Config:
    """The same, but stdout is for the result."""
    if config.out.jsonl != "-":
        return config
    return replace(config, out=replace(config.out, jsonl=""))
