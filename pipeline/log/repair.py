"""Repairs a log: what can be read goes into a new, whole file; what is lost is said."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
from msgspec import Struct

from pipeline.log.codec import Encoded, Stored, decode
from pipeline.log.container import LogFile
from pipeline.log.form import HEADER_NAME, LogError, LogHeader, header_of
from pipeline.log.gap import GapCounter
from pipeline.log.scan import Damage, DamageList, Note, Scan
from pipeline.log.schema import SCHEMAS
from pipeline.log.writer import LogWriter
from pipeline.progress import progress

NOTE_NAME = "repair"
_MAX_TAIL_S = 60.0  # between the last sample and the last write: a file with more was moved


class Repair(Struct, kw_only=True):
    """What was found and made. `repaired` is empty where nothing was written.

    `lost_messages` are the sequence numbers missing across damage, the least that is lost.
    `lost_s` is the time without samples around damage, and from the last sample to the last
    write of a file that is cut off: the most that is lost, None if unknown.
    """

    file: str
    whole: bool = True
    messages: int = 0
    duration_s: float = 0.0
    lost_messages: int = 0
    lost_s: float | None = 0.0
    damage: list[str] = []
    repaired: str = ""

    @property
    def exit_code(self) -> int:
        """0 all is there, 3 something is lost, 1 nothing could be read."""
        if self.whole:
            return 0
        return 3 if self.messages else 1

    def text(self) -> str:
        """For people."""
        counts = f"{self.messages} messages of {self.duration_s:.2f} s"
        made = f", now in {self.repaired}" if self.repaired else ""
        if self.whole:
            return f"{self.file} is whole: {counts}{made}"
        damage = f"damage: {'; '.join(self.damage)}"
        if not self.messages:
            return f"{self.file}: nothing can be recovered\n{damage}"
        most = "an unknown time" if self.lost_s is None else f"at most {self.lost_s:.2f} s"
        lost = f"lost: {most}, at least {self.lost_messages} messages"
        return f"{self.file}: recovered {counts}{made}\n{lost}\n{damage}"


def repair(path: Path, out: Path | None = None) -> Repair:
    """Write what can be read of `path` to `out` (default: beside it). Raises LogError.

    A whole file is copied only where `out` says so.
    """
    file = LogFile(path)
    try:
        survey = _Survey(file)
        found = survey.result
        if found.messages and (out or not found.whole):
            target = out or path.with_name(f"{path.stem}.repaired{path.suffix}")
            found.repaired = str(target)
            _copy(file, target, survey)
        return found
    finally:
        file.close()


class _Survey:
    """Reads all once, to know what is there before anything is written."""

    def __init__(self, file: LogFile) -> None:
        self.header: LogHeader | None = None
        self.unreadable: set[int] = set()  # messages that are no samples, by their place
        self.result = result = Repair(file=str(file.path))
        self._damage = DamageList()
        self._n_stored = 0
        self._gaps: dict[str, GapCounter] = {}
        self._hurt: set[str] = set()  # streams with damage behind their last message
        self._first_ns = self._last_ns = 0
        self._gap_from_ns: int | None = None
        with progress(f"reading {file.path.name}", file.size_bytes) as advance:
            scan = Scan(file, advance)
            for item in scan:
                self._take(item)
        result.damage, result.whole = self._damage.told(), not self._damage.count
        result.duration_s = (self._last_ns - self._first_ns) / 1e9
        if not scan.reached_end:
            self._add_lost(self._tail_ns(file))

    def _take(self, item: Stored | Note | Damage) -> None:
        if isinstance(item, Damage):
            self._hurt_by(f"{item.why} (byte {item.at})")
        elif isinstance(item, Note):
            self._take_note(item)
        else:
            self._take_message(item)
            self._n_stored += 1

    def _take_note(self, note: Note) -> None:
        if note.name != HEADER_NAME or self.header:
            return
        try:
            self.header = header_of(note.values)
        except LogError as error:
            self._hurt_by(str(error))

    def _take_message(self, message: Stored) -> None:
        if message.schema not in SCHEMAS:
            self.unreadable.add(self._n_stored)  # of another program: it stays behind
            return
        try:
            decode(message, 0)
        except LogError as error:
            self.unreadable.add(self._n_stored)
            self._hurt_by(str(error))
        else:
            self._count(message)

    def _hurt_by(self, why: str) -> None:
        self._damage.add(why)
        self._hurt = set(self._gaps)
        self._gap_from_ns = self._last_ns if self.result.messages else None

    def _count(self, message: Stored) -> None:
        missing = self._gaps.setdefault(message.stream, GapCounter())(message.sequence)
        if message.stream in self._hurt:
            self._hurt.discard(message.stream)
            self.result.lost_messages += missing
        time_ns = message.log_time_ns
        if self._gap_from_ns is not None:
            self._add_lost(max(0, time_ns - self._gap_from_ns))
            self._gap_from_ns = None
        first = self.result.messages == 0
        self._first_ns = time_ns if first else min(self._first_ns, time_ns)
        self._last_ns = time_ns if first else max(self._last_ns, time_ns)
        self.result.messages += 1

    def _tail_ns(self, file: LogFile) -> int | None:
        """From the last sample to the last write of the file, if it lies where it was written."""
        tail_s = (os.stat(file.path).st_mtime_ns - self._last_ns) / 1e9
        # A file system's clock is some milliseconds late.
        return max(0, round(tail_s * 1e9)) if -1 < tail_s < _MAX_TAIL_S else None

    def _add_lost(self, lost_ns: int | None) -> None:
        before_s = self.result.lost_s
        if lost_ns is None or before_s is None:
            self.result.lost_s = None
        else:
            self.result.lost_s = before_s + lost_ns / 1e9


def _copy(file: LogFile, target: Path, survey: _Survey) -> None:
    """What the survey found, as a new file. Raises LogError, and leaves no half of one."""
    # Without the clock pair, the times in the file are the only ones there are.
    header = survey.header or LogHeader(monotonic_ns=0, wall_ns=0, origin="repaired")
    writer, complete = LogWriter(target, header), False
    try:
        with writer:
            _copy_all(file, writer, survey)
            report = msgspec.to_builtins(survey.result)
            writer.note(NOTE_NAME, {key: str(value) for key, value in report.items()})
        complete = True
    finally:
        if not complete:
            target.unlink()


def _copy_all(file: LogFile, writer: LogWriter, survey: _Survey) -> None:
    offset_ns, n_stored = writer.header.wall_minus_monotonic_ns, 0
    with progress(f"writing {file.path.name}", file.size_bytes) as advance:
        for item in Scan(file, advance):
            if isinstance(item, Note) and item.name != HEADER_NAME:
                writer.note(item.name, item.values)
            elif isinstance(item, Stored):
                if n_stored not in survey.unreadable:
                    writer.append(_encoded(item, offset_ns))
                n_stored += 1


def _encoded(message: Stored, offset_ns: int) -> Encoded:
    """The same message, to be stored again."""
    return Encoded(
        stream=message.stream,
        schema=message.schema,
        seq=message.sequence,
        t_publish_ns=message.log_time_ns - offset_ns,
        parts=(message.data,),
    )
