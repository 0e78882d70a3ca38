"""Pictures and sound for a calibration, of a run that is going, or of sensors of its own."""

from __future__ import annotations

import signal
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager

from msgspec.structs import replace

from pipeline.bus.subscriber import Subscriber
from pipeline.calibration.delay import CalibrationError
from pipeline.child import EXIT_CONFIG, read_config
from pipeline.config import Config
from pipeline.crew import SENSOR
from pipeline.run_directory import CONFIG, LOCK, RunDirectory, is_claimed
from pipeline.sample import Sample
from pipeline.spawn import Child

BOUND = 256  # pictures and chunks that may wait: here each of them counts
STOP_S = 3.0
STEP_MS = 100


def live(config: Config, streams: Sequence[str]) -> Generator[Sample | None, None, None]:
    """The samples of two streams of this host, without an end; None at least ten times a second.

    Listens in where the run is going; else starts the two sensors. Raises CalibrationError.
    """
    lines = {s: replace(config.streams[s], policy="queue", bound=BOUND) for s in streams}
    is_running = _is_running(config)
    bus = Subscriber({s: (config.endpoint(s), lines[s]) for s in streams}, observer=is_running)
    try:
        with _sensors(config, () if is_running else streams) as children:
            while True:
                yield from bus.receive(STEP_MS)
                yield None
                _check(children)
    finally:
        bus.close()


def offsets_ms(config: Config, streams: Sequence[str]) -> dict[str, float]:
    """By what `live` samples are corrected: a run may be older than its file."""
    used = read_config(config.directory / CONFIG) if _is_running(config) else config
    lines = used.streams
    return {stream: lines[stream].offset_ms if stream in lines else 0.0 for stream in streams}


def _is_running(config: Config) -> bool:
    return is_claimed(config.directory / LOCK)


@contextmanager
def _sensors(config: Config, streams: Sequence[str]) -> Iterator[list[Child]]:
    """The processes of these streams, as a run has them, without a node."""
    if not streams:
        yield []
        return
    directory = RunDirectory(config)
    path = str(directory.config_path)
    children = [Child(stream, [*SENSOR, path, stream]) for stream in streams]
    try:
        for child in children:
            child.start()
        yield children
    finally:
        for child in children:
            child.send(signal.SIGTERM)
        deadline_s = time.monotonic() + STOP_S
        for child in children:
            child.wait(deadline_s)
        directory.close()


def _check(children: Sequence[Child]) -> None:
    for child in children:
        code = child.crashed()
        if code == EXIT_CONFIG:
            raise CalibrationError(f"{child.name} cannot run as configured; see above")
        if code is not None:
            raise CalibrationError(f"{child.name} {child.last_end}; see above")
