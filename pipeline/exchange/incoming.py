"""What an importer hands over: streams of samples, each in order, and what it had to leave out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import msgspec

from pipeline.config import Config
from pipeline.error import SensoriumError
from pipeline.log.form import LogHeader
from pipeline.sample import MAX_TEXT_BYTES, Sample
from pipeline.stream import MODALITY

NS_PER_S = 1_000_000_000
MAX_NAME = 64  # of a stream, behind its kind


class ExchangeError(SensoriumError):
    """A source cannot be imported, or a log not exported; one line says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the user asked for. `topics` is {topic of a bag: stream}."""

    name: str = ""  # of the streams; else the source's own
    rate_hz: float = 10.0  # of a folder of pictures
    sample_rate_hz: int = 16_000
    gap_s: float = 12.0  # between two items of a manifest
    topics: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """An opened source. Times of the samples and of `header` are those of the source.

    Each of `streams` yields samples by rising time of publication. `left_out` {what: how many}
    is complete once they are read to their end. `length_s` is what the source says of itself.
    """

    header: LogHeader
    streams: list[Iterator[Sample]]
    left_out: Counter[str]
    length_s: float = 0.0


def imported(streams: Iterable[str], wall_ns: int = 0, *, monotonic_ns: int = 0) -> LogHeader:
    """The header of an imported log: time 0 of its source, and that on the wall clock.

    Its configuration has these streams, so that it replays without another.
    """
    tables: dict[str, dict[str, Any]] = {kind: {} for kind in MODALITY}
    for stream in streams:
        kind, _, name = stream.partition("/")
        tables[kind][name] = {"source": "external"}
    config = msgspec.json.encode(msgspec.convert({"name": "imported", **tables}, Config)).decode()
    return LogHeader(monotonic_ns=monotonic_ns, wall_ns=wall_ns, config=config, origin="imported")


def stream_name(text: str) -> str:
    """The text as the name of a stream: "My clip (2)" is "My_clip_2"."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", text).strip("_")[:MAX_NAME] or "imported"


def to_ns(ticks: int, unit_s: Fraction) -> int:
    """A count of units of time in nanoseconds, rounded to the nearest."""
    return (2 * ticks * unit_s.numerator * NS_PER_S // unit_s.denominator + 1) // 2


def short_enough(text: str) -> bool:
    """Whether a text event may hold the text."""
    return len(text) <= MAX_TEXT_BYTES and len(text.encode()) <= MAX_TEXT_BYTES
