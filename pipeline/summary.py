"""What a run did, in numbers: from the predictions it emitted and the node's own ledger.

Percentiles are those of the newest 20,000 predictions, so that a long run does not grow.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pipeline.prediction import Prediction
from pipeline.stream import kind_of

# The true label at a time, or None where the truth is not settled.
Truth: TypeAlias = Callable[[int], "str | None"]
FloatArray: TypeAlias = NDArray[np.float64]
PERCENTILES = (50, 95, 99)
NEWEST = 20_000  # latencies that are kept


class Newest:
    """The newest numbers, in memory that is taken at once, so that a long run does not grow."""

    def __init__(self) -> None:
        self._kept, self._n = np.full(NEWEST, np.nan), 0

    def add(self, value: float) -> None:
        """Keep a number, in the place of the oldest."""
        self._kept[self._n % NEWEST] = value
        self._n += 1

    @property
    def values(self) -> FloatArray:
        """Those that are kept, in no order."""
        return self._kept[: self._n]


class Summary:
    """Collects predictions; `result` is the object that `--json` prints."""

    def __init__(self, truth: Truth | None = None) -> None:
        self._truth = truth
        self._started_ns = process_start_ns()
        self._n = self._n_scored = self._n_correct = 0
        self._latency_ms = Newest()
        self._total_ms: dict[str, Newest] = {}
        self._first_s: dict[str, float] = {}
        self.first_ns: int | None = None
        self.newest: Prediction | None = None

    def add(self, prediction: Prediction) -> None:
        """Take in one prediction."""
        self.newest = prediction
        self._n += 1
        if self.first_ns is None:
            self.first_ns = prediction.t_emit_ns
        since_start_s = (prediction.t_emit_ns - self._started_ns) / 1e9
        used = {kind_of(stream) for stream in prediction.inputs}
        if {"camera", "text"} <= used:
            self._first_s.setdefault("first_prediction_s", round(since_start_s, 3))
        if not prediction.missing:
            self._first_s.setdefault("first_complete_s", round(since_start_s, 3))
        self._latency_ms.add((prediction.t_emit_ns - prediction.tick_ns) / 1e6)
        for stream, stages in prediction.stages_ns.items():
            if stream not in self._total_ms:
                self._total_ms[stream] = Newest()
            self._total_ms[stream].add(sum(stages) / 1e6)
        label = self._truth(prediction.tick_ns) if self._truth else None
        if label is not None:
            self._n_scored += 1
            self._n_correct += prediction.top == label

    @property
    def latency_ms(self) -> dict[str, float]:
        """Percentiles of tick to emit."""
        return percentiles(self._latency_ms.values)

    @property
    def accuracy(self) -> float | None:
        """The share of right predictions among those whose truth was settled."""
        return round(self._n_correct / self._n_scored, 4) if self._n_scored else None

    def result(self, streams: Sequence[str], counters: Mapping[str, int]) -> dict[str, Any]:
        """The numbers of the run; `counters` are those of the node's last health.

        The node may have made more predictions than were added: while it was being ended.
        """
        ledgers = {stream: _ledger(stream, counters) for stream in streams}
        dropped: Counter[str] = Counter()
        for ledger in ledgers.values():
            dropped.update(ledger["dropped"])
        return {
            "predictions": self._n,
            "ticks_skipped": counters.get("ticks_skipped", 0),
            "deadline_missed": counters.get("deadline_missed", 0),
            "accuracy": self.accuracy,
            "scored": self._n_scored,
            "latency_ms": self.latency_ms,
            "sensor_to_prediction_ms": {
                s: percentiles(ms.values) for s, ms in self._total_ms.items()
            },
            "captured": sum(ledger["captured"] for ledger in ledgers.values()),
            "delivered": sum(ledger["delivered"] for ledger in ledgers.values()),
            "dropped": dict(dropped),
            "streams": ledgers,
            "first_prediction_s": self._first_s.get("first_prediction_s"),
            "first_complete_s": self._first_s.get("first_complete_s"),
        }


def percentiles(values: Sequence[float] | FloatArray) -> dict[str, float]:
    """{"p50": ..., "p95": ..., "p99": ...}, empty without values."""
    if not len(values):
        return {}
    found = np.percentile(values, PERCENTILES)
    return {f"p{p}": round(float(v), 3) for p, v in zip(PERCENTILES, found, strict=True)}


def process_start_ns() -> int:
    """When this process was started, on the monotonic clock, to the kernel's 10 ms.

    Field 22 of /proc/self/stat is in hundredths of a second since boot (man 5 proc).
    """
    fields = Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    age_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - int(fields[19]) * 10_000_000
    return time.monotonic_ns() - age_ns


def _ledger(stream: str, counters: Mapping[str, int]) -> dict[str, Any]:
    prefix = f"{stream}.dropped."
    dropped = {k.removeprefix(prefix): n for k, n in counters.items() if k.startswith(prefix)}
    return {
        "captured": counters.get(f"{stream}.captured", 0),
        "delivered": counters.get(f"{stream}.delivered", 0),
        "dropped": dropped,
    }
