"""A log onto the bus: each stream on the endpoint of its sensor, at the pace of the recording.

Times are moved onto now and stretched by the speed; relative offsets stay. At another speed than
1 sound lasts longer or shorter than it takes to come, so a node finds gaps in it: it is masked.
"""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from pipeline.bus.publisher import RING_SLOTS, Publisher
from pipeline.child import HealthReporter, Stop
from pipeline.config import Config
from pipeline.replay.part import Part, ReplayError
from pipeline.sample import AudioChunk, Memory, Sample, UInt8Array

MAX_WAIT_S = 0.5  # between two reports of health
FIRST_READER_S = 10.0  # so long a replay waits for somebody to read

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """`speed` 2 is twice as fast as it was; with `loop` the end is followed by the beginning."""

    speed: float = 1.0
    loop: bool = False


class Outlets:
    """The publisher of each stream, and its health. Raises BusError."""

    def __init__(self, config: Config, streams: list[str]) -> None:
        self._stack = ExitStack()
        self._publishers: dict[str, Publisher] = {}
        self.health: dict[str, HealthReporter] = {}
        with self._stack:
            for stream in streams:
                line = config.streams[stream]
                slots = RING_SLOTS + (line.bound if line.policy == "queue" else 0)
                publisher = Publisher(config.endpoint(stream), bound=line.bound, slots=slots)
                self._publishers[stream] = self._stack.enter_context(publisher)
                self.health[stream] = HealthReporter(stream, publisher, {"captured": 0})
            self._stack = self._stack.pop_all()

    def wait_for_readers(self, stop: Stop) -> None:
        """Wait, not for ever, for the first reader of each: what it misses is lost uncounted."""
        deadline_s = time.monotonic() + FIRST_READER_S
        missing = set(self._publishers)
        while missing and not stop.is_set() and time.monotonic() < deadline_s:
            self.beat()
            read = {s for s in missing if self._publishers[s].wait_for_subscriber(s, 0.02)}
            missing -= read
        if missing and not stop.is_set():
            log.warning("nobody reads %s", ", ".join(sorted(missing)))

    def send(self, sample: Sample) -> None:
        """Publish a sample of one of the streams."""
        self._publishers[sample.stream].send(sample)
        self.health[sample.stream].counters["captured"] += 1

    def loan(self, stream: str, shape: tuple[int, int, int]) -> tuple[UInt8Array, Memory]:
        """Memory of a stream's publisher to make a picture in."""
        return self._publishers[stream].loan(shape)

    def report(self, state: str) -> None:
        """Report a new state of every stream."""
        for health in self.health.values():
            health.report(state)

    def beat(self) -> None:
        """Report what is due."""
        for health in self.health.values():
            health.beat()

    def close(self) -> None:
        """Say the last of every stream and give its endpoint back."""
        self.report("stopped")
        self._stack.close()


def publish(config: Config, part: Part, pace: Pace, stop: Stop) -> dict[str, Any]:
    """Publish until the end, or until asked to stop. Raises BusError, LogError, ReplayError."""
    streams = [s for s in part.streams if s in config.streams]
    if not streams:
        raise ReplayError("the log holds none of the configuration's streams: rename with --remap")
    outlets = Outlets(config, streams)
    started_s, n_rounds = time.monotonic(), 0
    try:
        outlets.wait_for_readers(stop)
        started_s = time.monotonic()
        outlets.report("running")
        while not stop.is_set():
            _play_once(outlets, part, pace.speed, stop)
            n_rounds += 1
            if not pace.loop:
                break
    finally:
        wall_s = time.monotonic() - started_s
        outlets.close()
    published = {stream: health.counters["captured"] for stream, health in outlets.health.items()}
    return {"published": published, "rounds": n_rounds, "wall_s": wall_s}


def _play_once(outlets: Outlets, part: Part, speed: float, stop: Stop) -> None:
    begun_ns, warned = time.monotonic_ns(), speed == 1.0

    def moved_ns(t_ns: int) -> int:
        return begun_ns + round((t_ns - part.start_ns) / speed)

    for sample in part.samples(outlets.health):
        if not warned and isinstance(sample, AudioChunk):
            log.warning("%s: at speed %g a node finds gaps in sound", sample.stream, speed)
            warned = True
        due_ns = moved_ns(sample.t_publish_ns)
        _wait_until(due_ns, outlets, stop)
        if stop.is_set():
            return
        t_capture_ns = moved_ns(sample.t_capture_ns)
        outlets.send(replace(sample, t_capture_ns=t_capture_ns, t_publish_ns=due_ns))
        outlets.beat()
    _wait_until(moved_ns(part.end_ns), outlets, stop)


def _wait_until(due_ns: int, outlets: Outlets, stop: Stop) -> None:
    while not stop.is_set() and (left_s := (due_ns - time.monotonic_ns()) / 1e9) > 0:
        stop.wait(min(left_s, MAX_WAIT_S))
        outlets.beat()


def text(result: dict[str, Any]) -> str:
    """The result for people."""
    counts = ", ".join(f"{n} of {stream}" for stream, n in result["published"].items())
    return f"published {counts} in {result['wall_s']:.1f} s"
