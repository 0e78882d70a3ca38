"""A recording as a row of files: a new one by size or time, the oldest deleted for the budget."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from pipeline.config import Recording
from pipeline.log.codec import Encoded
from pipeline.log.form import LogError, LogHeader
from pipeline.log.reader import LogReader
from pipeline.log.writer import LogWriter
from pipeline.record.budget import MB, make_room
from pipeline.record.name import SegmentNames


class Segments:
    """Writes messages into the files of one recording. Raises LogError.

    `size_bytes` counts what this process has written, `n_files` the files that it began.
    """

    def __init__(self, record: Recording, header: LogHeader) -> None:
        self._names = SegmentNames(record.file, header.wall_ns)
        self._header, self._compression = header, record.compression
        self._limit_bytes = _bytes(record.segment_mb)
        self._limit_ns = int(record.segment_s * 1e9) if record.segment_s else None
        self._budget_bytes = _bytes(record.budget_mb)
        self._closed_bytes, self._closed = 0, False
        self.n_files = self.n_deleted = 0
        self._writer = self._begin()

    @property
    def size_bytes(self) -> int:
        """What this process has written, with the files deleted since."""
        return self._closed_bytes + (0 if self._closed else self._writer.size_bytes)

    def append(self, message: Encoded) -> None:
        """Write a message into the open file, or into a new one where that is full."""
        if self._is_full(message.t_publish_ns):
            self._end()
            self._writer = self._begin()
        self._writer.append(message)
        self._appended[message.stream] += 1

    def lost(self) -> Counter[str]:
        """By stream, what was appended to the last file and is not in it after a failure."""
        try:
            with LogReader(self._path) as reader:
                found = Counter({s: line.n_messages for s, line in reader.streams.items()})
        except LogError:
            found = Counter()
        return self._appended - found

    def close(self, notes: Mapping[str, Mapping[str, str]]) -> None:
        """Write notes into the last file and make it whole."""
        try:
            for name, values in notes.items():
                self._writer.note(name, values)
        finally:
            self._end()
            self._closed = True

    def _is_full(self, now_ns: int) -> bool:
        if not self._appended:
            return False
        if self._limit_bytes and self._writer.size_bytes >= self._limit_bytes:
            return True
        return bool(self._limit_ns and now_ns - self._writer.begun_ns >= self._limit_ns)

    def _begin(self) -> LogWriter:
        self._path = self._names.next_path()
        self._appended: Counter[str] = Counter()
        if self._budget_bytes:
            limit_bytes = self._budget_bytes - (self._limit_bytes or 0)
            self.n_deleted += make_room(self._names.all(), limit_bytes)
        self.n_files += 1
        return LogWriter(self._path, self._header, compression=self._compression)

    def _end(self) -> None:
        self._writer.close()
        self._closed_bytes += self._writer.size_bytes


def _bytes(megabytes: float | None) -> int | None:
    return int(megabytes * MB) if megabytes else None
