"""Bundles judged by logs, each by a command of its own, and set side by side."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from pipeline.error import SensoriumError

Found = Mapping[str, Any]


def sensorium(*words: str) -> str:
    """What a `sensorium` of its own prints. Raises SensoriumError where it fails."""
    command = [sys.executable, "-m", "pipeline.cli", *words]
    sys.stderr.write(f"sensorium {' '.join(words)}\n")
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SensoriumError(f"sensorium {words[0]} failed; what it said stands above")
    return done.stdout


def judged(bundle: Path, logs: Iterable[Path], *more: str) -> dict[str, Any]:
    """What `sensorium evaluate` finds. Raises SensoriumError."""
    told = sensorium("evaluate", str(bundle), *map(str, logs), *more, "--json")
    found: dict[str, Any] = msgspec.json.decode(told.splitlines()[-1])
    return found


def beside(names: Sequence[str], bundles: Sequence[Found]) -> str:
    """A Markdown table, a row a condition and a column a bundle."""
    columns = [dict(_scores(found)) for found in bundles]
    lines = [f"| | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for condition in columns[0]:
        cells = [_cell(column.get(condition)) for column in columns]
        lines.append(f"| {condition} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _scores(found: Found) -> Iterator[tuple[str, float | None]]:
    yield f"{found['score_name']}, all there", found["score"]
    yield from ((f"without {names}", score) for names, score in found["missing"].items())
    yield from ((f"noisy {name}", score) for name, score in found["noisy"].items())
    for name in ("robust", "stale", "ece"):
        yield name, found[name]


def _cell(score: float | None) -> str:
    return "" if score is None else f"{score:.4f}"
