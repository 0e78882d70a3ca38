"""The summary of a log as a reader needs it: channels, counts, notes, and where the chunks lie."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from mcap.opcode import Opcode
from mcap.records import (
    Channel,
    ChunkIndex,
    Footer,
    MessageIndex,
    MetadataIndex,
    Schema,
    Statistics,
)
from zlib_ng.zlib_ng import crc32

from pipeline.log.container import RECORD_HEAD_BYTES, LogFile, parse, records
from pipeline.log.summary import MAGIC

_FOOTER_BYTES = 20
_CHECKED_BYTES = RECORD_HEAD_BYTES + 16  # of the footer, which the CRC covers too
_MAX_SUMMARY_BYTES = 256 * 2**20  # two days in one file
_PLACE = struct.Struct("<QQQ")
CHUNK = ("first_ns", "last_ns", "at")
PLACES = np.dtype([(name, "<u8") for name in CHUNK])
Places: TypeAlias = "npt.NDArray[np.void]"


def place(first_ns: int, last_ns: int, at: int) -> bytes:
    """Times and offset of a chunk, packed."""
    return _PLACE.pack(first_ns, last_ns, at)


class _Edge:
    """The chunks that may hold a channel's outermost message: those that begin before any ends."""

    def __init__(self) -> None:
        self._bound_ns: int | None = None
        self._found: list[tuple[int, int]] = []
        self._pruned = 1

    def add(self, begin_ns: int, end_ns: int, offset: int) -> None:
        """A chunk, with the offset of its message index."""
        self._bound_ns = end_ns if self._bound_ns is None else min(end_ns, self._bound_ns)
        if begin_ns > self._bound_ns:
            return
        self._found.append((begin_ns, offset))
        if len(self._found) > 2 * self._pruned:  # so that the work is linear in any order
            self._found = [line for line in self._found if line[0] <= self._bound_ns]
            self._pruned = len(self._found)

    def offsets(self) -> list[int]:
        return [at for begin_ns, at in self._found if begin_ns <= (self._bound_ns or 0)]


class _Ends:
    """Where a channel begins, and, with time reversed, where it ends."""

    def __init__(self) -> None:
        self.first, self.last = _Edge(), _Edge()

    def add(self, first_ns: int, last_ns: int, offset: int) -> None:
        self.first.add(first_ns, last_ns, offset)
        self.last.add(-last_ns, -first_ns, offset)


class Index:
    """All that the end of the file says, checked. Raises LogError."""

    def __init__(self, file: LogFile) -> None:
        self._file = file
        self.schemas: dict[int, str] = {}
        self.channels: dict[int, Channel] = {}
        self.counts: dict[int, int] = {}
        self.notes: list[MetadataIndex] = []
        self._places = bytearray()
        self._ends: dict[int, _Ends] = {}
        start, end = self._bounds()
        summary = self._checked(start, end)
        try:
            for opcode, content in records(memoryview(summary)):
                self._take(opcode, content)
        except ValueError as error:
            raise file.corrupt(error) from error
        places = np.frombuffer(bytes(self._places), PLACES)
        # Chunks in the order of their beginning; ties as they lie in the file.
        self.places: Places = places[np.lexsort((places["at"], places["first_ns"]))]

    def knows(self, channels: Mapping[int, tuple[str, str]]) -> bool:
        """Whether those of these channels that are here too have the same stream and schema."""
        mine = {n: (channel.topic, self.schema_of(channel)) for n, channel in self.channels.items()}
        return all(mine[n] == channels[n] for n in mine.keys() & channels.keys())

    def agrees(self, places: bytearray) -> bool:
        """Whether just these chunks, as `place` packs them, are indexed."""
        mine = np.sort(self.places, order="at")
        theirs = np.frombuffer(bytes(places), PLACES)
        return len(mine) == len(theirs) and all(
            np.array_equal(mine[name], np.sort(theirs, order="at")[name]) for name in CHUNK
        )

    def schema_of(self, channel: Channel) -> str:
        """The name of a channel's schema, or nothing."""
        return self.schemas.get(channel.schema_id, "")

    def span_ns(self, channel_id: int) -> tuple[int, int]:
        """The first and the last log time of a channel; (0, 0) where no index tells."""
        ends = self._ends.get(channel_id)
        if ends is None:
            return 0, 0
        return min(self._times(ends.first.offsets())), max(self._times(ends.last.offsets()))

    def _times(self, offsets: Iterable[int]) -> list[int]:
        """The log times in the message indexes at these offsets, at least one."""
        times: list[int] = []
        try:
            for at in offsets:
                index = parse(MessageIndex, self._file.record(at, Opcode.MESSAGE_INDEX))
                times += [time_ns for time_ns, _ in index.records]
        except ValueError as error:
            raise self._file.corrupt(error) from error
        return times or [0]

    def _bounds(self) -> tuple[int, int]:
        """Where the summary begins and where the footer does."""
        file = self._file
        footer_at = file.size_bytes - len(MAGIC) - _FOOTER_BYTES - RECORD_HEAD_BYTES
        if footer_at < len(MAGIC) or file.read(file.size_bytes - len(MAGIC), len(MAGIC)) != MAGIC:
            raise file.cut_off()
        try:
            footer = parse(Footer, file.record(footer_at, Opcode.FOOTER))
        except ValueError as error:
            raise file.corrupt(error) from error
        if not len(MAGIC) <= footer.summary_start <= footer_at:
            raise file.corrupt("no summary")
        self._crc = footer.summary_crc
        return footer.summary_start, footer_at

    def _checked(self, start: int, end: int) -> bytes:
        """The summary's bytes."""
        if end - start > _MAX_SUMMARY_BYTES:
            raise self._file.corrupt(f"a summary of {end - start} bytes")
        summary = self._file.read(start, end - start)
        crc = crc32(self._file.read(end, _CHECKED_BYTES), crc32(summary))
        if self._crc and crc != self._crc:
            raise self._file.corrupt("the summary's checksum differs")
        return summary

    def _take(self, opcode: int, content: memoryview) -> None:
        match opcode:
            case Opcode.SCHEMA:
                schema = parse(Schema, content)
                self.schemas[schema.id] = schema.name
            case Opcode.CHANNEL:
                channel = parse(Channel, content)
                self.channels[channel.id] = channel
            case Opcode.STATISTICS:
                self.counts = parse(Statistics, content).channel_message_counts
            case Opcode.METADATA_INDEX:
                self.notes.append(parse(MetadataIndex, content))
            case Opcode.CHUNK_INDEX:
                index = parse(ChunkIndex, content)
                times = (index.message_start_time, index.message_end_time)
                self._places += place(*times, index.chunk_start_offset)
                for channel_id, offset in index.message_index_offsets.items():
                    self._ends.setdefault(channel_id, _Ends()).add(*times, offset)
