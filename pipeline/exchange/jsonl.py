"""JSON lines: text events and readings, each with a time `t` in seconds.

{"t": 1.5, "text": "door open", ...}, whose other members become fields
{"t": 1.5, "temperature": 21.5}, or {"t": 1.5, "values": {...}, "units": {...}}

Times from WALL_S on are wall-clock; smaller ones count from the beginning of the file's world.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np

from pipeline.exchange.incoming import (
    NS_PER_S,
    ExchangeError,
    Incoming,
    Options,
    imported,
    short_enough,
    stream_name,
)
from pipeline.sample import MAX_TEXT_BYTES, Reading, Sample, TextEvent, read_only

WALL_S = 1e9  # in 2001
MAX_S = 9e9  # fits into 64 bits of nanoseconds
MAX_LINE_BYTES = 4 * MAX_TEXT_BYTES
MAX_DEPTH = 8  # of a field, as of one that comes from a device


class _Units(msgspec.Struct, forbid_unknown_fields=True):
    """The long form of a reading."""

    values: dict[str, float]
    units: dict[str, str] = {}


def open_lines(path: Path, options: Options) -> Incoming:
    """text/NAME and readings/NAME of a file, all of which is checked first.

    Raises ExchangeError.
    """
    first_ns: int | None = None
    streams: set[str] = set()
    for sample in _samples(path, options):
        first_ns = sample.t_capture_ns if first_ns is None else first_ns
        streams.add(sample.stream)
    if first_ns is None:
        raise ExchangeError(f"{path}: holds no lines")
    begin_ns = first_ns if first_ns >= WALL_S * NS_PER_S else 0
    return Incoming(
        header=imported(sorted(streams), begin_ns, monotonic_ns=begin_ns),
        streams=[_samples(path, options)],
        left_out=Counter(),
    )


def _samples(path: Path, options: Options) -> Iterator[Sample]:
    name = options.name or stream_name(path.stem)
    seqs: Counter[str] = Counter()
    newest_ns = 0
    first: Reading | None = None
    for number, line in _lines(path):
        where = f"{path}: line {number}"
        t_ns, members = _parsed(where, line)
        if t_ns < newest_ns:
            raise ExchangeError(f"{where} is earlier than the one before: sort the file by t")
        newest_ns = t_ns
        if "text" in members:
            sample: Sample = _event(where, f"text/{name}", t_ns, members)
        else:
            reading = _reading(where, f"readings/{name}", t_ns, members)
            first = first or reading
            sample = _in_order(where, reading, first)
        yield msgspec.structs.replace(sample, seq=seqs[sample.stream])
        seqs[sample.stream] += 1


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with path.open("rb") as file:
            for number, line in enumerate(_bounded(file), start=1):
                if len(line) > MAX_LINE_BYTES:
                    raise ExchangeError(f"{path}: line {number} is too long")
                if line.strip():
                    yield number, line
    except OSError as error:
        raise ExchangeError(f"{path}: cannot be read: {error.strerror}") from error


def _bounded(file: BinaryIO) -> Iterator[bytes]:
    while line := file.readline(MAX_LINE_BYTES + 1):
        yield line


def _parsed(where: str, line: bytes) -> tuple[int, dict[str, Any]]:
    try:
        members = msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ExchangeError(f"{where} is no JSON object: {error}") from error
    t = members.pop("t", None)
    is_number = isinstance(t, (int, float)) and not isinstance(t, bool)
    if not (is_number and math.isfinite(t) and 0 <= t <= MAX_S):
        raise ExchangeError(f'{where}: needs a time in seconds, as "t": 1.5')
    whole_s = int(t)  # a product would lose digits of wall-clock times
    return whole_s * NS_PER_S + round((t - whole_s) * NS_PER_S), members


def _event(where: str, stream: str, t_ns: int, members: dict[str, Any]) -> TextEvent:
    text = members.pop("text")
    if not (isinstance(text, str) and text.strip() and short_enough(text)):
        raise ExchangeError(f"{where}: its text is empty, too long or no string")
    if not _portable(members, MAX_DEPTH):
        raise ExchangeError(f"{where}: is nested too deep, or holds too large an integer")
    return TextEvent(
        stream=stream, seq=0, t_capture_ns=t_ns, t_publish_ns=t_ns, text=text, fields=members
    )


def _portable(value: Any, depth: int) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return depth > 0 and all(_portable(item, depth - 1) for item in value)
    return type(value) is not int or -(2**63) <= value < 2**64


def _reading(where: str, stream: str, t_ns: int, members: dict[str, Any]) -> Reading:
    is_long = isinstance(members.get("values"), dict)
    try:
        line = msgspec.convert(members if is_long else {"values": members}, _Units)
        with np.errstate(over="ignore"):
            values = np.array(list(line.values.values()), np.float32)
    except (msgspec.ValidationError, OverflowError) as error:
        raise ExchangeError(f"{where}: neither text nor numbers: {error}") from error
    if not len(values) or not np.isfinite(values).all():
        raise ExchangeError(f"{where}: neither text nor finite numbers")
    return Reading(
        stream=stream,
        seq=0,
        t_capture_ns=t_ns,
        t_publish_ns=t_ns,
        values=values,
        names=tuple(line.values),
        units=tuple(line.units.get(name, "") for name in line.values),
    )


def _in_order(where: str, reading: Reading, first: Reading) -> Reading:
    """The reading in the order of the first line's names. Raises ExchangeError: other names."""
    if set(first.names) != set(reading.names):
        names = ", ".join(first.names)
        raise ExchangeError(f"{where}: other names than in the first line: {names}")
    by_name = dict(zip(reading.names, reading.values.tolist(), strict=True))
    values = np.array([by_name[name] for name in first.names], np.float32)
    return msgspec.structs.replace(
        first,
        t_capture_ns=reading.t_capture_ns,
        values=read_only(values),
        t_publish_ns=reading.t_publish_ns,
    )
