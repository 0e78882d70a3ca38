"""A run from start to end: the supervisor's loop, how long it lasts, and what watches it."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from pipeline.child import Stop
from pipeline.config import Config
from pipeline.crew import SENSOR
from pipeline.record import plan
from pipeline.record.outcome import outcome
from pipeline.sample import Health
from pipeline.service import Service
from pipeline.summary import Summary
from pipeline.supervisor import Supervisor

STEP_MS = 50
Watch: TypeAlias = Callable[[Summary, Mapping[str, Health]], None]


def run(
    config: Config,
    *,
    seconds: float | None,
    summary: Summary,
    watch: Watch | None = None,
    sensor: Sequence[str] = SENSOR,
) -> dict[str, Any]:
    """Run until asked to stop, or for some seconds from the first prediction on.

    `watch` is called twenty times a second. Returns the summary's result; raises what ends the
    run early, after everything was ended.
    """
    asked = stop_on_signals()
    service = Service(config)
    supervisor = Supervisor(config, sensor)
    try:
        supervisor.start()
        while not (asked.is_set() or supervisor.stopping or _over(summary, seconds)):
            for prediction in supervisor.step(STEP_MS):
                if prediction.t_emit_ns <= _last_ns(summary, seconds):
                    summary.add(prediction)
            service.beat(summary.newest, supervisor.health.get("node"))
            if watch:
                watch(summary, supervisor.health)
    finally:
        service.stopping()
        # What the node says while the sensors are being ended tells nothing about the run.
        last_ns = min(time.monotonic_ns(), _last_ns(summary, seconds))
        for prediction in supervisor.stop():
            if prediction.t_emit_ns <= last_ns:
                summary.add(prediction)
    node = supervisor.health.get("node")
    result = summary.result(list(config.streams), node.counters if node else {})
    return result | _recording(config, supervisor)


def _recording(config: Config, supervisor: Supervisor) -> dict[str, Any]:
    if not config.has_recorder:
        return {}
    counters, error = {}, "it was not running at the end"
    if health := supervisor.health.get(plan.RECORDER):
        counters, error = health.counters, health.last_error
    found = outcome(config, supervisor.clocks, counters, error)
    return {"recording": found | {"restarts": supervisor.recorder_restarts}}


def _over(summary: Summary, seconds: float | None) -> bool:
    return time.monotonic_ns() > _last_ns(summary, seconds)


def _last_ns(summary: Summary, seconds: float | None) -> float:
    """The time up to which predictions count."""
    if seconds is None or summary.first_ns is None:
        return math.inf
    return summary.first_ns + seconds * 1e9


def stop_on_signals() -> Stop:
    """A stop that Ctrl-C, SIGTERM and SIGHUP ask for."""
    stop = Stop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop.ask)
    return stop
