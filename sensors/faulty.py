"""A sensor process with faults: that of a run of `sensorium chaos`, and of no other run.

No other process loads this module, so nothing can be put into a run that `chaos` did not start.
Started by the supervisor with the arguments FOLDER CONFIG STREAM.
"""

from __future__ import annotations

import sys
import time
import zlib
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace

from pipeline import child
from pipeline.bus.publisher import Publisher
from pipeline.chaos.schedule import Schedule, Setup, read_setup
from pipeline.child import Stop
from pipeline.sample import Sample, Source
from sensors.alteration import Disturbance, altered
from sensors.process import publish


class FaultyPublisher(Publisher):
    """A publisher on a wire that swaps, repeats and spoils messages as `disturb` says."""

    def __init__(self, endpoint: str, *, disturb: Disturbance, **options: int) -> None:
        super().__init__(endpoint, **options)
        send_whole = self._send

        def send(message: bytes, **options: Any) -> None:
            for each in disturb(message, time.monotonic_ns()):
                send_whole(each, **options)

        self._send = send  # type: ignore[assignment]


def logged(setup: Setup, stream: str) -> Source:
    """The stream as a log has it, from now on, over and over; all streams keep in step."""

    def samples() -> Generator[Sample | None, None, None]:
        from pipeline.log.reader import LogReader
        from pipeline.replay.part import Choice, Part

        with LogReader(Path(setup.log)) as log:
            part = Part(log, Choice())
            begun_ns = time.monotonic_ns()
            n_round = (begun_ns - setup.origin_ns) // part.length_ns
            while True:
                moved_ns = setup.origin_ns + n_round * part.length_ns - part.start_ns
                for sample in part.samples([stream]):
                    due_ns = sample.t_publish_ns + moved_ns
                    if due_ns >= begun_ns:
                        t_capture_ns = sample.t_capture_ns + moved_ns
                        yield replace(sample, t_capture_ns=t_capture_ns, t_publish_ns=due_ns)
                n_round += 1

    return samples


def serve(folder: Path, config: Path, stream: str, stop: Stop) -> None:
    """Run one sensor until told to stop. Raises BusError and ConfigError."""
    schedule, setup = Schedule(folder, stream), read_setup(folder)
    seed = zlib.crc32(stream.encode())
    disturb = Disturbance(stream, schedule, seed)

    def opened(endpoint: str, **options: int) -> Publisher:
        return FaultyPublisher(endpoint, disturb=disturb, **options)

    def with_faults(source: Source) -> Source:
        source = logged(setup, stream) if setup.log else source
        return altered(source, schedule, np.random.default_rng(seed))

    publish(child.read_config(config), stream, stop, opened=opened, altered=with_faults)


def main() -> int:
    """The entry of the process."""
    folder, config, stream = sys.argv[1:4]
    return child.run(stream, lambda stop: serve(Path(folder), Path(config), stream, stop))


if __name__ == "__main__":
    sys.exit(main())
