"""Text events: one a line, plain or as a JSON object.

A line that starts with "{" is a JSON object with a string member "text"; its other members become
the fields of the event. Every other line is the text itself.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import msgspec

from pipeline.sample import TextEvent
from pipeline.stream import Text
from sensors.lines import lines_of

# What every encoding of a field can hold.
MAX_FIELD_DEPTH = 8
FIELD_INTEGERS = range(-(2**63), 2**64)


def events(
    config: Text, *, stream: str, counters: dict[str, int] | None = None
) -> Generator[TextEvent | None, None, None]:
    """The events of a line source. A line that is none is counted as `malformed` or `oversized`.

    Raises ConfigError, SensorLostError.
    """
    counters = {} if counters is None else counters
    seq = 0
    for line in lines_of(config, counters):
        if line is None:
            yield None
            continue
        try:
            text, fields = parse(line)
        except ValueError:
            counters["malformed"] += 1
            continue
        if text and not text.isspace():
            now_ns = time.monotonic_ns()
            yield TextEvent(
                stream=stream,
                seq=seq,
                t_capture_ns=now_ns,
                t_publish_ns=now_ns,
                text=text,
                fields=fields,
            )
            seq += 1


def parse(line: bytes) -> tuple[str, dict[str, Any]]:
    """The text, "" in an empty line, and the fields. Raises ValueError: the line is no event."""
    plain = line.decode("utf-8").strip()
    if not plain.startswith("{"):
        return plain, {}
    try:
        fields = msgspec.json.decode(plain, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from error
    text = fields.pop("text", None)
    if not isinstance(text, str):
        raise ValueError("no string member text")
    if not _portable(fields, MAX_FIELD_DEPTH):
        raise ValueError("a field is nested too deep, or an integer too large")
    return text, fields


def _portable(value: Any, depth: int) -> bool:
    """Whether the value can be written in any of our encodings."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return depth > 0 and all(_portable(item, depth - 1) for item in value)
    return type(value) is not int or value in FIELD_INTEGERS
