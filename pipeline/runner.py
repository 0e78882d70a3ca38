"""A run from start to end: the supervisor's loop, how long it lasts, and what watches it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from pipeline.child import Stop
from pipeline.config import Config
from pipeline.sample import Health
from pipeline.summary import Summary
from pipeline.supervisor import Supervisor

STEP_MS = 50
Watch: TypeAlias = Callable[[Summary, Mapping[str, Health]], None]


def run(
    config: Config, *, seconds: float | None, summary: Summary, watch: Watch | None = None
) -> dict[str, Any]:
    """Run until asked to stop, or for some seconds from the first prediction on.

    `watch` is called twenty times a second. Returns the summary's result; raises what ends the
    run early, after everything was ended.
    """
    asked = stop_on_signals()
    supervisor = Supervisor(config)
    try:
        supervisor.start()
        while not (asked.is_set() or supervisor.stopping or _over(summary, seconds)):
            for prediction in supervisor.step(STEP_MS):
                summary.add(prediction)
            if watch:
                watch(summary, supervisor.health)
    finally:
        for prediction in supervisor.stop():
            summary.add(prediction)
    node = supervisor.health.get("node")
    return summary.result(list(config.streams), node.counters if node else {})


def _over(summary: Summary, seconds: float | None) -> bool:
    if seconds is None or summary.first_ns is None:
        return False
    return time.monotonic_ns() - summary.first_ns >= seconds * 1e9


def stop_on_signals() -> Stop:
    """A stop that Ctrl-C, SIGTERM and SIGHUP ask for."""
    stop = Stop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop.ask)
    return stop
