"""From where the seconds of a log count, in every file that people read beside it."""

from __future__ import annotations

from pipeline.exchange.incoming import ExchangeError
from pipeline.log.reader import LogReader
from pipeline.stream import MODALITY, kind_of


def sensor_streams(log: LogReader) -> list[str]:
    """The streams that a device made, in the order of their names."""
    lines = log.streams.items()
    return [name for name, line in lines if kind_of(name) in MODALITY and line.n_messages]


def beginning_ns(log: LogReader) -> int:
    """Time 0: of an imported log that of its source, else the first picture or sound.

    An event may be told long after it happened, so those count only where there is nothing else.
    Raises LogError.
    """
    if log.header.origin == "imported":
        return log.header.monotonic_ns
    streams = sensor_streams(log)
    steady = [stream for stream in streams if kind_of(stream) in ("camera", "microphone")]
    firsts = [next(log.samples([stream])).t_capture_ns for stream in steady or streams]
    if firsts:
        return min(firsts)
    spans = [line.first_publish_ns for line in log.streams.values() if line.n_messages]
    if not spans:
        raise ExchangeError("the log holds no samples")
    return min(spans)
