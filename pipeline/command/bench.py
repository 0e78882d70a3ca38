"""`sensorium bench`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

from pipeline.command.answer import print_json
from pipeline.latency.limit_command import WHATS, bench_limits
from pipeline.sample import Frame

N_FRAMES = 60  # of a log


def bench(arguments: argparse.Namespace, frames: Callable[[int], Sequence[Frame]]) -> int:
    """Measure; `frames` gives so many pictures for a log. Raises SensoriumError."""
    if arguments.what in WHATS:
        return bench_limits(arguments)
    result, text = _measure(arguments, frames)
    if arguments.json:
        return print_json(result)
    sys.stdout.write(text + "\n")
    return 0


def _measure(
    arguments: argparse.Namespace, frames: Callable[[int], Sequence[Frame]]
) -> tuple[dict[str, Any], str]:
    """The result, and the same for people."""
    result: dict[str, Any]
    if arguments.what == "log":
        from pipeline.log import bench as bench_log

        result = bench_log.bench_log(arguments.runs, frames(N_FRAMES))
        return result, bench_log.text(result)
    if arguments.what == "record":
        from pipeline.record import bench as bench_record

        result = bench_record.bench_record(arguments.runs, arguments.seconds)
        return result, bench_record.text(result)
    if arguments.what == "engines":
        from pipeline.latency import engine_table

        result = engine_table.bench_engines(arguments)
        return result, engine_table.text(result)
    if arguments.what == "camera":
        from pipeline.bench import camera as bench_camera

        result = bench_camera.bench_camera(arguments.frames)
        return result, bench_camera.text(result)
    if arguments.what == "readers":
        from pipeline.bench import readers as bench_readers

        result = bench_readers.bench_readers(arguments.runs, arguments.frames)
        return result, bench_readers.text(result)
    from pipeline.bench import transport as bench_transport

    result = bench_transport.bench_transport(arguments.runs, bench_transport.Sizes())
    return result, bench_transport.text(result)
