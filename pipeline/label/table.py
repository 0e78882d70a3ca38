"""Labels from a CSV table with the columns start_s, end_s and label; further ones are passed over.

The seconds count from the log's beginning, as those of an exported film do.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path

from pipeline.label.store import LabelError
from pipeline.sample import MAX_TEXT_BYTES

COLUMNS = ("start_s", "end_s", "label")
MAX_S = Decimal(10**9)


def read_table(path: Path, zero_ns: int) -> Iterator[tuple[int, int, str, float]]:
    """(start_ns, end_ns, label, score 1) of each row. Raises LabelError, naming the row."""
    n = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file, strict=True)
            missing = [name for name in COLUMNS if name not in (table.fieldnames or ())]
            if missing:
                found = ", ".join(table.fieldnames or ()) or "nothing"
                raise LabelError(f"{path}: has no column {', '.join(missing)}, only {found}")
            for n, row in enumerate(table, start=1):
                yield _interval(f"{path}: row {n}", row, zero_ns)
    except OSError as error:
        raise LabelError(f"{path}: cannot be read: {error.strerror}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise LabelError(f"{path}: is no CSV in UTF-8: {error}") from error
    if not n:
        raise LabelError(f"{path}: holds no labels, only the names of its columns")


def _interval(where: str, row: dict[str, str | None], zero_ns: int) -> tuple[int, int, str, float]:
    start, end, label = (row[name] or "" for name in COLUMNS)
    if not label.strip() or len(label) > MAX_TEXT_BYTES // 4:
        raise LabelError(f"{where}: its label is empty or too long")
    start_ns, end_ns = (zero_ns + _ns(where, text) for text in (start, end))
    if not start_ns < end_ns:
        raise LabelError(f"{where}: ends at {end} s, not after its start at {start} s")
    return start_ns, end_ns, label.strip(), 1.0


def _ns(where: str, text: str) -> int:
    try:
        seconds = Decimal(text.strip())
    except InvalidOperation:
        raise LabelError(f"{where}: {text!r} is no number of seconds") from None
    if not (seconds.is_finite() and abs(seconds) <= MAX_S):
        raise LabelError(f"{where}: {text!r} is no number of seconds")
    return round(seconds * 10**9)
