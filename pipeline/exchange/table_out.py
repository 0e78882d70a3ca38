"""Writes texts, readings, predictions and labels as CSV tables, texts as subtitles too.

Each row begins with the seconds since the log's beginning.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, Protocol

import msgspec

from pipeline.exchange.subtitle import DURATION
from pipeline.prediction import Prediction
from pipeline.sample import Label, Reading, Sample, TextEvent

SHOWN_S = 2.0  # a subtitle whose duration nobody knows
DIGITS = 9  # behind the point: nanoseconds


class Out(Protocol):
    """A file in the making. Raises ExchangeError."""

    def take(self, sample: Sample) -> None: ...

    def close(self) -> None: ...


class TableOut:
    """A CSV file of one stream of texts, readings, predictions or labels."""

    def __init__(self, path: Path, zero_ns: int, stream: str) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._rows = csv.writer(self._file)
        self._zero_ns, self._stream = zero_ns, stream
        self._columns: list[str] = []

    def take(self, sample: Sample) -> None:
        """Add a row, if the sample is of this stream."""
        if sample.stream != self._stream:
            return
        row = _row(sample, self._zero_ns)
        if not self._columns:
            self._columns = list(row)
            self._rows.writerow(self._columns)
        if row.keys() - self._columns:  # a bundle with other labels: their scores are told apart
            self._columns = list(row)
            self._rows.writerow(self._columns)
        self._rows.writerow([row.get(column, "") for column in self._columns])

    def close(self) -> None:
        self._file.close()


class SubtitleOut:
    """An SRT file of one stream of texts."""

    def __init__(self, path: Path, zero_ns: int, stream: str) -> None:
        self._file = path.open("w", encoding="utf-8")
        self._zero_ns, self._stream = zero_ns, stream
        self._n = 0

    def take(self, sample: Sample) -> None:
        """Add a subtitle, if the sample is a text of this stream."""
        start_ns = sample.t_capture_ns - self._zero_ns
        if sample.stream != self._stream or not isinstance(sample, TextEvent) or start_ns < 0:
            return
        shown_s = sample.fields.get(DURATION)
        if not (isinstance(shown_s, float) and 0 < shown_s < 3600):
            shown_s = SHOWN_S
        times = f"{_clock(start_ns)} --> {_clock(start_ns + round(shown_s * 1e9))}"
        self._n += 1
        self._file.write(f"{self._n}\n{times}\n{' '.join(sample.text.split())}\n\n")

    def close(self) -> None:
        self._file.close()


def seconds(t_ns: int, zero_ns: int) -> str:
    """The time since `zero_ns` in seconds, exact."""
    sign, since_ns = ("-", zero_ns - t_ns) if t_ns < zero_ns else ("", t_ns - zero_ns)
    whole, part = divmod(since_ns, 10**DIGITS)
    return f"{sign}{whole}.{part:0{DIGITS}d}"


def _row(sample: Sample, zero_ns: int) -> dict[str, Any]:
    row: dict[str, Any] = {"t_s": seconds(sample.t_capture_ns, zero_ns)}
    match sample:
        case TextEvent():
            fields = msgspec.json.encode(sample.fields).decode() if sample.fields else ""
            return {**row, "text": sample.text, "fields": fields}
        case Reading():
            heads = map(_head, sample.names, sample.units)
            return {**row, **dict(zip(heads, map(str, sample.values), strict=True))}
        case Prediction():
            missing = " ".join(sample.missing)
            return {**row, "top": sample.top, "missing": missing, **_numbers(sample)}
        case Label():
            until_s = seconds(sample.t_until_ns, zero_ns)
            interval = {"start_s": row["t_s"], "end_s": until_s, "label": sample.label}
            return {**interval, "source": sample.source, "score": sample.score}
    return row


def _numbers(sample: Prediction) -> dict[str, Any]:
    """The scores of the main head; of each other one its text, or its highest name and number."""
    row: dict[str, Any] = dict(sample.scores)
    for head, value in sample.outputs.items():
        if isinstance(value, str):
            row[head] = value
        elif isinstance(value, dict) and value and head != sample.main:
            highest = max(value, key=value.__getitem__)
            row[head] = f"{highest} {value[highest]:.4f}"
    return row


def _head(name: str, unit: str) -> str:
    return f"{name} [{unit}]" if unit else name


def _clock(t_ns: int) -> str:
    """As SRT writes a time: 01:02:03,456."""
    ms = round(t_ns / 1_000_000)
    s, ms = divmod(ms, 1000)
    return f"{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d},{ms:03d}"
