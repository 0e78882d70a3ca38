"""The recorder's process: one more reader of the bus, which no other process waits for.

Started by the supervisor with the arguments CONFIG MONOTONIC_NS WALL_NS, the pair of clock
readings that dates all files of the run, also after a restart.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from pipeline import child
from pipeline.bus.publisher import Publisher
from pipeline.child import HealthReporter, Stop
from pipeline.config import Config
from pipeline.error import ConfigError
from pipeline.log.form import LogError
from pipeline.record.clock import ClockPair
from pipeline.record.plan import RECORDER, chosen_forms, header_of
from pipeline.record.recorder import Recorder

MAX_WAIT_MS = 70  # for a prediction; a ring of 16 pictures at 60 Hz lasts 260 ms
NICE = 10  # who senses and predicts goes first


class Bell:
    """Notes a signal until it is taken."""

    def __init__(self, number: signal.Signals) -> None:
        self._rung = False
        signal.signal(number, self._ring)

    def _ring(self, *_: object) -> None:
        self._rung = True

    def take(self) -> bool:
        """Whether the signal has come since the last call."""
        rung, self._rung = self._rung, False
        return rung


def serve(config: Config, pair: ClockPair, stop: Stop) -> None:
    """Record until told to stop.

    Raises ConfigError where starting again cannot help, as when a disk is full: whoever wants
    the rest of the run recorded makes room and starts another recorder.
    """
    bell = Bell(signal.SIGUSR1)
    with Publisher(config.recorder_endpoint) as publisher:
        health = HealthReporter(RECORDER, publisher, {})
        try:
            recorder = Recorder(config, chosen_forms(config), header_of(config, pair, "recorded"))
        except LogError as error:
            health.report("failed", str(error))
            raise ConfigError(str(error)) from error
        os.nice(NICE)  # only now: the recorder is to hear the first samples
        health.report("running")
        while not (stop.is_set() or recorder.is_over):
            recorder.step(MAX_WAIT_MS)
            if bell.take():
                recorder.trigger("manual")
            if health.due:
                _report(health, recorder, "running")
        recorder.finish()
        _report(health, recorder, "stopped")
    if recorder.error:
        raise ConfigError(f"{recorder.error}; the recording has ended")


def _report(health: HealthReporter, recorder: Recorder, state: str) -> None:
    health.counters = recorder.counters()
    health.report("failed" if recorder.error else state, recorder.last_error)


def main() -> int:
    """The entry of the process."""
    path, monotonic_ns, wall_ns = sys.argv[1:4]
    pair = ClockPair(int(monotonic_ns), int(wall_ns))
    return child.run(RECORDER, lambda stop: serve(child.read_config(Path(path)), pair, stop))


if __name__ == "__main__":
    sys.exit(main())
