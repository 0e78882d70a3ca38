"""Canonical predictions in a file, one JSON object a line, and where others differ from them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from pipeline.error import SensoriumError
from pipeline.prediction import Prediction

TOLERANCE = 1e-3  # of a score or a weight: other CPUs round otherwise


class GoldenError(SensoriumError):
    """A golden file cannot be read or written."""


def canonical_line(prediction: Prediction) -> bytes:
    """The canonical form as one line of JSON, its members sorted by name."""
    return msgspec.json.encode(prediction.canonical(), order="deterministic") + b"\n"


def first_difference(expected: Any, found: Any, at: str = "") -> str | None:
    """Where and how two canonical predictions differ first, or None."""
    if isinstance(expected, dict) and isinstance(found, dict):
        if expected.keys() != found.keys():
            return f"{at}: keys {sorted(expected)} expected, {sorted(found)} found"
        pairs = [(key, expected[key], found[key]) for key in expected]
    elif isinstance(expected, list) and isinstance(found, list | tuple):
        if len(expected) != len(found):
            return f"{at}: {len(expected)} entries expected, {len(found)} found"
        pairs = [(str(n), e, f) for n, (e, f) in enumerate(zip(expected, found, strict=True))]
    elif isinstance(expected, float) and isinstance(found, float):
        near = abs(expected - found) <= TOLERANCE
        return None if near else f"{at}: {expected:.6f} expected, {found:.6f} found"
    else:
        return None if expected == found else f"{at}: {expected!r} expected, {found!r} found"
    found_differences = (first_difference(e, f, f"{at}.{key}") for key, e, f in pairs)
    return next((difference for difference in found_differences if difference), None)


def read_golden(path: Path) -> Iterator[Any]:
    """The canonical predictions of a file, one at a time. Raises GoldenError."""
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    yield msgspec.json.decode(line)
                except msgspec.DecodeError as error:
                    raise GoldenError(f"{path}: line {number} is not JSON: {error}") from error
    except OSError as error:
        raise GoldenError(f"{path}: cannot be read: {error.strerror}") from error


def difference(expected: Iterable[Any], found: Iterable[Any]) -> str | None:
    """The first difference of two runs of canonical predictions, or None."""
    for number, (before, now) in enumerate(itertools.zip_longest(expected, found)):
        if before is None or now is None:
            which = "expected, but there are no more" if now is None else "found beyond the last"
            return f"prediction {number}: {which}"
        if told := first_difference(before, now, f"prediction {number}"):
            return told
    return None


def write_golden(path: Path, predictions: Iterable[Prediction]) -> None:
    """Write canonical lines. Raises GoldenError."""
    try:
        with path.open("wb") as lines:
            for prediction in predictions:
                lines.write(canonical_line(prediction))
    except OSError as error:
        raise GoldenError(f"{path}: cannot be written: {error.strerror}") from error
