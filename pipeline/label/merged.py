"""A new log that holds the samples of another as they are, and the labels from beside it."""

from __future__ import annotations

from pathlib import Path

from pipeline.exchange.draft import draft
from pipeline.label.store import KIND, LabelError, Sets
from pipeline.log.codec import Encoded, Stored
from pipeline.log.container import LogFile
from pipeline.log.form import HEADER_NAME
from pipeline.log.reader import LogReader
from pipeline.log.scan import Damage, Note, Scan
from pipeline.log.writer import LogWriter
from pipeline.progress import progress


def merge(log_file: Path, sets: Sets, out: Path) -> int:
    """Write `out` with these sets in the place of those of their names. Returns how many labels.

    Raises LabelError, LogError, ExchangeError.
    """
    with LogReader(log_file) as log:
        header = log.header
    file = LogFile(log_file)
    try:
        with draft(out) as made, LogWriter(made, header) as writer:
            with progress("merging", file.size_bytes) as advance:
                for item in Scan(file, advance):
                    if isinstance(item, Damage):
                        raise LabelError(f"{log_file}: is damaged: run `sensorium repair`")
                    _copy(item, writer, sets)
            for labels in sets.values():
                for label in labels:
                    writer.write(label)
    finally:
        file.close()
    return sum(map(len, sets.values()))


def _copy(item: Stored | Note, writer: LogWriter, sets: Sets) -> None:
    """A message or note as it is, but for labels that others replace."""
    if isinstance(item, Note):
        if item.name != HEADER_NAME:
            writer.note(item.name, item.values)
    elif not (item.stream.startswith(f"{KIND}/") and item.stream in sets):
        offset_ns = writer.header.wall_minus_monotonic_ns
        writer.append(
            Encoded(
                stream=item.stream,
                schema=item.schema,
                seq=item.sequence,
                t_publish_ns=item.log_time_ns - offset_ns,
                parts=(item.data,),
            )
        )
