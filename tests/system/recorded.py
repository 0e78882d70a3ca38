"""What the tests of recorded runs share: a configuration, and what is in a log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.log.reader import LogReader
from pipeline.sample import Sample
from tests.system.run import (
    SIMULATED,
    Run,
)

STREAMS = ["camera/room", "microphone/room", "text/events", "readings/climate"]
RECORDED = SIMULATED.replace('source = "simulator"', 'source = "simulator"\nrecord = "lossless"')


def complete(prediction: dict[str, Any]) -> bool:
    return not prediction["missing"]


def notes(path: Path) -> dict[str, dict[str, str]]:
    with LogReader(path) as reader:
        return dict(reader.notes)


def of(samples: list[Sample], stream: str) -> list[Sample]:
    return [sample for sample in samples if sample.stream == stream]


def assert_closed(ledger: dict[str, str], samples: list[Sample]) -> None:
    """Captured = recorded + dropped, and recorded is what is in the file."""
    streams = {name.rpartition(".captured")[0] for name in ledger if name.endswith(".captured")}
    assert streams
    for stream in streams:
        counts = {n.removeprefix(stream + "."): int(v) for n, v in ledger.items() if stream in n}
        dropped = sum(n for name, n in counts.items() if name.startswith("dropped."))
        assert counts["captured"] == counts["recorded"] + dropped
        assert counts["recorded"] == len(of(samples, stream)), stream


def recorder(run: Run) -> dict[str, Any]:
    return run.status()["recorder"]
