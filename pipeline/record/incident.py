"""Incidents: on a trigger, what was before and what comes after goes into a file of its own."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from pipeline.config import Config
from pipeline.log.codec import Encoded
from pipeline.log.form import LogError, LogHeader
from pipeline.log.writer import LogWriter
from pipeline.record.budget import make_room
from pipeline.record.memory import Memory
from pipeline.record.name import STAMP, stamp
from pipeline.record.segment import MB
from pipeline.record.writing import Notes, Writing

MAX_NS = 600_000_000_000  # triggers that never end make several files
NOTE = "incident"

log = logging.getLogger(__name__)


class IncidentFile:
    """The file of one incident: `why` grows with each trigger, and so does its end."""

    def __init__(self, writer: LogWriter, why: str, now_ns: int) -> None:
        self._writer, self.why, self.begun_ns = writer, [why], now_ns
        self.until_ns = now_ns
        self.n_slow = 0
        self.writing = Writing(self)

    def append(self, message: Encoded) -> None:
        """Write a message. Raises LogError."""
        self._writer.append(message)

    def close(self, notes: Notes) -> None:
        """Make the file whole. Raises LogError."""
        for name, values in notes.items():
            self._writer.note(name, values)
        self._writer.close()


class IncidentRecorder:
    """Keeps the last seconds, and makes a file of each incident. A failure costs that file only.

    While a file is being written, its messages are in memory beside the newer ones: up to twice
    `memory_mb`.
    """

    def __init__(self, config: Config, header: LogHeader) -> None:
        self._keys, self._header, self._name = config.incident, header, config.name
        self._compression = config.record.compression
        self._before_ns = int(self._keys.before_s * 1e9)
        self._after_ns = int(self._keys.after_s * 1e9)
        self._memory = Memory(self._before_ns, int(self._keys.memory_mb * MB))
        self._open: IncidentFile | None = None
        self._closing: list[IncidentFile] = []
        self.n_files = 0
        self.last_error = ""

    @property
    def n_dropped(self) -> int:
        """The messages that `memory_mb` did not hold for `before_s`."""
        return self._memory.n_dropped

    def add(self, message: Encoded, now_ns: int) -> None:
        """Keep a message, and write it if there is an incident."""
        if self._open and not self._open.writing.put(message):
            self._open.n_slow += 1
        self._memory.add(message, now_ns)

    def trigger(self, why: str, now_ns: int) -> None:
        """Begin an incident, or extend the one that goes on."""
        if self._open is None:
            self._begin(why, now_ns)
        else:
            self._open.why.append(why)
        if self._open is not None:
            self._open.until_ns = min(now_ns + self._after_ns, self._open.begun_ns + MAX_NS)

    def step(self, now_ns: int) -> None:
        """End the incident whose time is over."""
        if self._open and now_ns >= self._open.until_ns:
            self._end(self._open)
            self._open = None
        for file in [file for file in self._closing if file.writing.join(0)]:
            self._closing.remove(file)
            if file.writing.error:
                self._fail(file.why[0], file.writing.error)

    def close(self, timeout_s: float) -> None:
        """End the incident that goes on, and wait for the files."""
        if self._open:
            self._end(self._open)
            self._open = None
        for file in self._closing:
            file.writing.join(timeout_s)
        self.step(0)

    def _make_room(self) -> None:
        """Before a new incident, delete the oldest of this name until the rest is in the budget."""
        if not self._keys.budget_mb:
            return
        ours = re.compile(rf"{re.escape(self._name)}-{STAMP}-.*\.mcap")
        paths = [p for p in Path(self._keys.directory).glob("*.mcap") if ours.fullmatch(p.name)]
        make_room(sorted(paths), int(self._keys.budget_mb * MB))

    def _begin(self, why: str, now_ns: int) -> None:
        self._make_room()
        before = self._memory.since(now_ns - self._before_ns)
        try:
            writer = self._open_log(why, now_ns)
            writer.note(NOTE, self._about([why], now_ns, before))
        except LogError as error:
            self._fail(why, str(error))
            return
        self._open = IncidentFile(writer, why, now_ns)
        self._open.writing.put_all(before)
        self.n_files += 1

    def _fail(self, why: str, error: str) -> None:
        self.last_error = error
        log.error("incident %s: %s", why, error)

    def _open_log(self, why: str, now_ns: int) -> LogWriter:
        wall_ns = now_ns + self._header.wall_minus_monotonic_ns
        stem = f"{self._name}-{stamp(wall_ns)}-{why.split()[0]}"
        names = (f"{stem}{f'-{n}' if n else ''}.mcap" for n in count())
        folder = Path(self._keys.directory)
        path = next(path for name in names if not (path := folder / name).exists())
        log.info("incident %s: %s", why, path)
        return LogWriter(path, self._header, compression=self._compression)

    def _about(self, why: Sequence[str], now_ns: int, before: Sequence[Encoded]) -> dict[str, str]:
        """What the file says of its incident; times in nanoseconds of the wall clock."""
        held_ns = now_ns - min((m.t_publish_ns for m in before), default=now_ns)
        return {
            "why": "; ".join(why),
            "wall_ns": str(now_ns + self._header.wall_minus_monotonic_ns),
            "before_s": f"{self._keys.before_s:g}",
            "before_held_s": f"{held_ns / 1e9:.3f}",
            "after_s": f"{self._keys.after_s:g}",
            "dropped.memory": str(self._memory.n_dropped),
        }

    def _end(self, file: IncidentFile) -> None:
        values = {"why": "; ".join(file.why), "dropped.disk_slow": str(file.n_slow)}
        file.writing.finish({f"{NOTE}.end": values})
        self._closing.append(file)
