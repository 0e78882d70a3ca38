"""One sensor process: a source of samples, and the small loop that publishes them.

Started by the supervisor with the arguments CONFIG STREAM.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Generator
from contextlib import closing
from functools import partial
from pathlib import Path

from pipeline import child
from pipeline.backoff import Backoff
from pipeline.bus.publisher import Publisher
from pipeline.child import HealthReporter, Stop
from pipeline.config import Config, Simulator
from pipeline.error import ConfigError, SensorHungError, SensorLostError
from pipeline.footprint import ring_slots
from pipeline.sample import Sample, Source
from pipeline.stream import Camera, Microphone, Readings, Stream, Text
from sensors.offset import earlier
from sensors.watchdog.watchdog import Watchdog, told

MAX_WAIT_S = 0.5  # between two looks at the clock, the stop request and the next health report
FIRST_READER_S = 10.0  # so long a sensor waits for somebody to read what it captures
REOPEN_S = 4.0  # the longest wait before a lost device is opened again: its cable may be back
READINGS_HZ = 2.0  # of the simulator, unless the configuration says another
RECORDER_S = 1.0  # and so long for a recorder besides, which may have failed

log = logging.getLogger(__name__)


def source_of(
    config: Config, stream: str, counters: dict[str, int], publisher: Publisher
) -> Source:
    """The source that the configuration names for a stream; it counts its losses in `counters`.

    Its capture times are corrected by `offset_ms`: what is live, recorded and replayed is one.
    """
    line = config.streams[stream]
    if line.source == "simulator":
        device: Source = partial(_simulated, line, stream, config.simulator)
    else:
        device = _device(line, stream, counters, publisher)
    return earlier(device, round(line.offset_ms * 1e6))


def _device(line: Stream, stream: str, counters: dict[str, int], publisher: Publisher) -> Source:
    """Modules are imported here, so that a process loads only what its device needs."""
    match line:
        case Camera():
            from sensors.camera import frames

            return partial(frames, line, stream=stream, counters=counters, lend=publisher.loan)
        case Microphone():
            from sensors.microphone import chunks

            return partial(chunks, line, stream=stream, counters=counters)
        case Text():
            from sensors.text import events

            return partial(events, line, stream=stream, counters=counters)
        case Readings():
            from sensors.readings import readings

            return partial(readings, line, stream=stream, counters=counters)
    raise TypeError(type(line).__name__)


def _simulated(
    line: Stream, stream: str, simulated: Simulator
) -> Generator[Sample | None, None, None]:
    """A stream of the simulated home, from now on; every process with this seed sees the same."""
    from sensors import simulator

    home = simulator.Home(seed=simulated.seed, detailed=simulated.detailed)
    start_ns = time.monotonic_ns()
    match line:
        case Camera():
            size_px, rate_hz = line.resize or (640, 480), line.rate_hz or 15.0
            yield from simulator.frames(
                home, stream=stream, rate_hz=rate_hz, start_ns=start_ns, size_px=size_px
            )
        case Microphone():
            rate_hz = line.sample_rate_hz
            yield from simulator.chunks(home, stream=stream, rate_hz=rate_hz, start_ns=start_ns)
        case Text():
            # Devices that are asked tell what was last: nobody waits for the next event.
            begun_ns = home.scene_at(start_ns).start_ns
            yield from simulator.events(home, stream=stream, start_ns=begun_ns)
        case Readings():
            rate_hz = line.rate_hz or READINGS_HZ
            yield from simulator.readings(home, stream=stream, rate_hz=rate_hz, start_ns=start_ns)


class Publishing:
    """The publishing loop: waits until a sample is due, sends it, reports health.

    A lost device is reported and opened again after a back-off; it is not a crash. One that is
    stuck is reported with its faults.
    """

    def __init__(
        self,
        source: Source,
        publisher: Publisher,
        health: HealthReporter,
        watchdog: Watchdog,
        stop: Stop,
    ) -> None:
        self._source, self._publisher = source, publisher
        self._health, self._watchdog, self._stop = health, watchdog, stop
        self._backoff = Backoff(REOPEN_S)

    def run(self) -> None:
        """Publish until told to stop."""
        while not self._stop.is_set():
            try:
                self._publish_all()
                self._forget_faults()
                self._health.report("ended")
                self._wait_until(None)
            except SensorHungError:
                raise
            except (SensorLostError, ConfigError) as error:
                # What has worked as configured before is lost, as a file that was removed.
                if isinstance(error, ConfigError) and not self._health.counters["captured"]:
                    raise
                wait_s = self._backoff.take_s()
                log.warning("lost: %s; trying again in %.1f s", error, wait_s)
                self._forget_faults()
                self._health.report("lost", str(error))
                self._wait_until(time.monotonic_ns() + int(wait_s * 1e9))
        self._forget_faults()

    def wait_for_readers(self, stream: str, *, recorded: bool) -> None:
        """Wait, not for ever, for the node, and the recorder: what they miss is lost uncounted."""
        self._wait_for(stream, FIRST_READER_S)
        if recorded:
            self._wait_for(stream, RECORDER_S, observer=True)

    def _wait_for(self, stream: str, limit_s: float, *, observer: bool = False) -> None:
        deadline_s = time.monotonic() + limit_s
        while not self._stop.is_set() and time.monotonic() < deadline_s:
            self._health.beat()
            if self._publisher.wait_for_subscriber(stream, 0.1, observer=observer):
                return

    def _publish_all(self) -> None:
        # Closed here and not by the garbage collector, so that a device that hangs is noticed.
        with closing(self._source()) as samples:
            for sample in samples:
                self._beat()
                if sample is not None:
                    self._wait_until(sample.t_publish_ns)
                if self._stop.is_set():
                    return
                if sample is not None:
                    self._publish(sample)

    def _publish(self, sample: Sample) -> None:
        self._publisher.send(sample)
        self._health.counters["captured"] += 1
        self._watchdog.look(sample, time.monotonic_ns())
        if self._health.state not in ("running", "stuck"):
            self._backoff.reset()
            self._health.report("running")
        self._tell_faults()

    def _beat(self) -> None:
        self._health.beat()
        if self._health.state in ("running", "stuck"):
            self._watchdog.beat(time.monotonic_ns())
            self._tell_faults()

    def _forget_faults(self) -> None:
        """There are no more samples that could be wrong."""
        self._watchdog.reset()
        self._health.faults = []

    def _tell_faults(self) -> None:
        """Report faults as they begin and end."""
        before, now = self._health.faults, self._watchdog.faults
        if now == before:
            return
        self._health.faults = now
        for fault in set(now) - set(before):
            name = f"faults.{fault}"
            self._health.counters[name] = self._health.counters.get(name, 0) + 1
        if now:
            log.warning("stuck: %s", told(now))
            self._health.report("stuck", told(now))
        else:
            log.info("no longer stuck")
            self._health.report("running")

    def _wait_until(self, due_ns: int | None) -> None:
        """Wait for the time, or for ever; reports health meanwhile, returns early on a stop."""
        while not self._stop.is_set():
            left_s = MAX_WAIT_S if due_ns is None else (due_ns - time.monotonic_ns()) / 1e9
            if left_s <= 0:
                return
            self._stop.wait(min(left_s, MAX_WAIT_S))
            self._beat()


def publish(
    config: Config,
    stream: str,
    stop: Stop,
    *,
    opened: Callable[..., Publisher] = Publisher,
    altered: Callable[[Source], Source] = lambda source: source,
) -> None:
    """Run one sensor until told to stop. Raises BusError and ConfigError.

    `opened` makes the publisher, `altered` what is published: sensors.faulty gives its own.
    """
    line = config.streams[stream]
    slots = ring_slots(line)
    with opened(config.endpoint(stream), bound=line.bound, slots=slots) as publisher:
        health = HealthReporter(stream, publisher, {"captured": 0})
        source = altered(source_of(config, stream, health.counters, publisher))
        try:
            publishing = Publishing(source, publisher, health, Watchdog(line), stop)
            publishing.wait_for_readers(stream, recorded=config.records(stream))
            publishing.run()
        except SensorHungError as error:
            # A device call that never returns would keep this process from ending.
            log.error("%s", error)
            os._exit(child.EXIT_FAILED)
        health.report("stopped")


def main() -> int:
    """The entry of the process."""
    path, stream = Path(sys.argv[1]), sys.argv[2]
    return child.run(stream, lambda stop: publish(child.read_config(path), stream, stop))


if __name__ == "__main__":
    sys.exit(main())
