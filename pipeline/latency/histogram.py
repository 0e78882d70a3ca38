"""HDR histograms of durations: the tail costs no more memory than the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.error import SensoriumError

if TYPE_CHECKING:
    from hdrh.histogram import HdrHistogram

LONGEST_NS = 3_600_000_000_000
DIGITS = 3  # each value is known to one part in a thousand
PERCENTILES: Mapping[str, float] = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p999": 99.9}
NS_PER_MS = 1e6


def new_counts() -> HdrHistogram:
    """An empty histogram of the library. Raises SensoriumError where it is not installed."""
    try:
        from hdrh.histogram import HdrHistogram
    except ImportError as error:
        raise SensoriumError("this needs hdrhistogram: pip install 'sensorium[bench]'") from error
    return HdrHistogram(1, LONGEST_NS, DIGITS)


class Histogram:
    """Durations in nanoseconds, up to an hour; `n_outside` are those below zero and above it."""

    def __init__(self) -> None:
        self._counts = new_counts()
        self.n_outside = self._sum_ns = 0

    def add(self, duration_ns: int) -> None:
        """Count one duration."""
        inside = 0 <= duration_ns <= LONGEST_NS
        self.n_outside += not inside
        if inside:
            self._counts.record_value(duration_ns)
            self._sum_ns += duration_ns

    def __len__(self) -> int:
        return int(self._counts.get_total_count())

    def percentile_ms(self, percentile: float) -> float:
        """At most so long took this share of the durations."""
        return float(self._counts.get_value_at_percentile(percentile)) / NS_PER_MS

    def summary_ms(self) -> dict[str, float]:
        """{"p50": .., "p90": .., "p99": .., "p999": .., "max": .., "mean": ..}; or empty."""
        if not len(self):
            return {}
        found = {name: self.percentile_ms(p) for name, p in PERCENTILES.items()}
        found["max"] = float(self._counts.get_max_value()) / NS_PER_MS
        found["mean"] = self._sum_ns / len(self) / NS_PER_MS
        return {name: round(value, 4) for name, value in found.items()}

    def log_line(self, tag: str, length_s: float) -> str:
        """A line of an interval log, format 1.3; its maximum is in milliseconds."""
        max_ms = float(self._counts.get_max_value()) / NS_PER_MS
        return f"Tag={tag},0.000,{length_s:.3f},{max_ms:.3f},{self._counts.encode().decode()}\n"


def write_log(path: Path, histograms: Iterable[tuple[str, Histogram]], length_s: float) -> None:
    """Write an .hlog file: one tagged line a histogram; values are nanoseconds."""
    lines = ["#[Histogram log format version 1.3]\n", "#[StartTime: 0.000 (seconds)]\n"]
    lines.append(
        '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"\n'
    )
    lines += [found.log_line(tag, length_s) for tag, found in histograms if len(found)]
    path.write_text("".join(lines), encoding="ascii")
