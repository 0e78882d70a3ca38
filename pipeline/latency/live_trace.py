"""The trace of a run that is going: what its predictions say, and when they come to us."""

from __future__ import annotations

import time
from collections.abc import Iterator

from pipeline.bus.subscriber import Subscriber
from pipeline.child import Stop
from pipeline.config import Config
from pipeline.error import ControlError
from pipeline.latency.trace import Trace
from pipeline.latency.track import TraceEvent
from pipeline.run_directory import LOCK, is_claimed
from pipeline.stream import Text

BOUND = 1024
STEP_MS = 100


def run_events(config: Config, seconds: float, stop: Stop) -> Iterator[TraceEvent]:
    """The events of the next seconds, one after another. Raises ControlError where nothing runs."""
    if not is_claimed(config.directory / LOCK):
        raise ControlError(f"{config.directory}: nothing runs here; `sensorium run` starts it")
    line = Text(source="", bound=BOUND)
    bus = Subscriber({f"prediction/{config.name}": (config.predictions_endpoint, line)})
    began_ns = time.monotonic_ns()
    trace = Trace(began_ns)
    try:
        while time.monotonic_ns() - began_ns < seconds * 1e9 and not stop.is_set():
            for sample in bus.receive(STEP_MS):
                trace.add(sample, time.monotonic_ns())
            yield from trace.tracks.take()
    finally:
        bus.close()
