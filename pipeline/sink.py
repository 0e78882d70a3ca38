"""Where predictions go: a sink is a callable that takes one."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import BinaryIO, TypeAlias

import msgspec

from pipeline.bus import Publisher
from pipeline.error import ConfigError, SensoriumError
from pipeline.prediction import Prediction

Sink: TypeAlias = Callable[[Prediction], None]


def publish_sink(publisher: Publisher) -> Sink:
    """Publish on the predictions endpoint."""

    def publish(prediction: Prediction) -> None:
        publisher.send(prediction)

    return publish


def json_lines_sink(path: str) -> Sink:
    """One JSON object a line into a file that is replaced, or to stdout where the path is "-".

    Raises ConfigError if the file cannot be written.
    """
    out = _open(path)
    # The one pair of clock readings that gives predictions their wall-clock time.
    offset_ns = time.time_ns() - time.monotonic_ns()
    encoder = msgspec.json.Encoder()

    def write(prediction: Prediction) -> None:
        try:
            out.write(encoder.encode(prediction.report(offset_ns)) + b"\n")
            out.flush()
        except OSError as error:
            raise SensoriumError(f"out.jsonl {path}: {error.strerror}") from error

    return write


def _open(path: str) -> BinaryIO:
    if path == "-":
        return sys.stdout.buffer
    try:
        return open(path, "wb")
    except OSError as error:
        raise ConfigError(f"out.jsonl {path}: cannot be written: {error.strerror}") from error
