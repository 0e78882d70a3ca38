"""Readings: numbers measured at one time, one JSON object a line.

{"temperature": 21.5, "humidity": 40}, or with units
{"values": {"temperature": 21.5}, "units": {"temperature": "°C"}}
"""

from __future__ import annotations

import time
from collections.abc import Generator

import msgspec
import numpy as np

from pipeline.sample import Float32Array, Reading, read_only
from pipeline.stream import Readings
from sensors.lines import lines_of


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The long form of a line: values by name, and the units of some of them."""

    values: dict[str, float]
    units: dict[str, str] = {}


def readings(
    config: Readings, *, stream: str, counters: dict[str, int] | None = None
) -> Generator[Reading | None, None, None]:
    """The readings of a line source; the first line settles names, their order and units.

    A line of other names, other units or no finite numbers is counted as `malformed`. Raises
    ConfigError, SensorLostError.
    """
    counters = {} if counters is None else counters
    first: Line | None = None
    seq = 0
    for line in lines_of(config, counters):
        if line is None:
            yield None
            continue
        if not line.strip():
            continue
        try:
            parsed = parse(line)
            first = first or parsed
            values = _in_order(parsed, first)
        except ValueError:
            counters["malformed"] += 1
            continue
        now_ns = time.monotonic_ns()
        yield Reading(
            stream=stream,
            seq=seq,
            t_capture_ns=now_ns,
            t_publish_ns=now_ns,
            values=values,
            names=tuple(first.values),
            units=tuple(first.units.get(name, "") for name in first.values),
        )
        seq += 1


def parse(line: bytes) -> Line:
    """Either form of a line. Raises ValueError: it is neither, or no finite numbers."""
    try:
        table = msgspec.json.decode(line, type=dict[str, dict[str, object] | float])
        is_long = isinstance(table.get("values"), dict)
        parsed = msgspec.convert(table if is_long else {"values": table}, Line)
        with np.errstate(over="ignore"):
            finite = np.isfinite(np.array(list(parsed.values.values()), np.float32)).all()
    except (msgspec.DecodeError, RecursionError, OverflowError) as error:
        raise ValueError(f"no reading: {error}") from error
    if not parsed.values or not finite or not parsed.units.keys() <= parsed.values.keys():
        raise ValueError("no reading: no values, or one that is not finite, or a unit of none")
    return parsed


def _in_order(line: Line, first: Line) -> Float32Array:
    """float32 (n,), in the order of the first line. Raises ValueError: not the same readings."""
    if line.values.keys() != first.values.keys():
        raise ValueError("other names than in the first line")
    if line.units and line.units != first.units:
        raise ValueError("other units than in the first line")
    values = np.array([line.values[name] for name in first.values], np.float32)
    array: Float32Array = read_only(values)
    return array
