"""Everything that can still be read in a log, damaged or not, from its beginning to its end."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from typing import NamedTuple, TypeAlias

from mcap.opcode import Opcode
from mcap.records import Channel, Metadata, Schema

from pipeline.log.codec import Stored, decode
from pipeline.log.container import (
    MAX_RECORD_BYTES,
    RECORD_HEAD_BYTES,
    LogFile,
    chunk_data,
    chunk_head,
    expand,
    parse,
    raw_message,
    records,
)
from pipeline.log.form import MAX_CHUNK_BYTES, LogError
from pipeline.log.index import place
from pipeline.log.reader import LogReader
from pipeline.log.summary import MAGIC
from pipeline.log.writer import SCHEMA_KEY

_KINDS = frozenset(Opcode)
_IN_CHUNK = (Opcode.SCHEMA, Opcode.CHANNEL, Opcode.MESSAGE)
_MAX_HEAD_BYTES = 64  # of a chunk, with the head of its record
# Opcode, length, two times, size, CRC and compression of a chunk below 256 MiB.
_CHUNK = re.compile(
    rb"\x06(?=[\s\S]{3}[\x00-\x0f]\x00{4}[\s\S]{16}[\s\S]{3}[\x00-\x0f]\x00{4}[\s\S]{4}"
    rb"(?:\x00{4}|\x03\x00{3}lz4|\x04\x00{3}zstd))"
)
_WINDOW_BYTES = 2**20
_MAX_WASTED_BYTES = 2**29  # read of what only looked like a chunk; then the search ends


class Note(NamedTuple):
    """A Metadata record."""

    name: str
    values: dict[str, str]


class Damage(NamedTuple):
    """Something that cannot be read, at this offset."""

    at: int
    why: str


class DamageList:
    """The first damages in words, and how many there are: a hostile file may have millions."""

    MAX_TOLD = 20

    def __init__(self) -> None:
        self.count = 0
        self._told: list[str] = []

    def add(self, why: str) -> None:
        self.count += 1
        if self.count <= self.MAX_TOLD:
            self._told.append(why)

    def told(self) -> list[str]:
        more = self.count - self.MAX_TOLD
        return self._told + ([f"and {more} more"] if more > 0 else [])


Found: TypeAlias = "Stored | Note | Damage"
Step: TypeAlias = "Generator[Found, None, int | None]"  # returns the offset to go on at


class Scan:
    """Iterates over what is found, as it lies in the file; memory is bounded by one chunk.

    Damage is yielded where it lies. Raises LogError for an empty or foreign file.
    """

    def __init__(self, file: LogFile, advance: Callable[[float], None]) -> None:
        file.check_magic()
        self.reached_end = False  # of the data: nothing is cut off
        self._file = file
        self._advance = advance
        self._schemas: dict[int, str] = {}
        self._channels: dict[int, tuple[str, str]] = {}
        self._places = bytearray()  # of the chunks, as the index should have them
        self._wasted_bytes = 0

    def __iter__(self) -> Iterator[Found]:
        at: int | None = len(MAGIC)
        while at is not None:
            self._advance(at)
            at = yield from self._record(at)
        self._advance(self._file.size_bytes)

    def _record(self, at: int) -> Step:
        file = self._file
        if at + RECORD_HEAD_BYTES > file.size_bytes:
            yield Damage(at, "it was not closed")
            return None
        opcode, length = file.record_head(at)
        end = at + RECORD_HEAD_BYTES + length
        if opcode == Opcode.DATA_END:
            return (yield from self._end(at))
        if opcode == Opcode.CHUNK and end > file.size_bytes:
            return (yield from self._open_chunk(at))
        limit_bytes = MAX_CHUNK_BYTES if opcode == Opcode.CHUNK else MAX_RECORD_BYTES
        if opcode not in _KINDS or length > limit_bytes + _MAX_HEAD_BYTES or end > file.size_bytes:
            yield Damage(at, "a record that is cut off or none")
            return self._next_chunk(at + 1)
        try:
            content = file.read(at + RECORD_HEAD_BYTES, length)
            yield from self._content(at, opcode, content)
        except ValueError as error:
            yield Damage(at, str(error))
            return self._next_chunk(at + 1)
        return end

    def _end(self, at: int) -> Step:
        """What is behind the data tells nothing new, but may be damaged."""
        self.reached_end = True
        try:
            with LogReader(self._file.path) as reader:
                agree = reader.indexes(self._places, self._channels)
        except LogError:
            agree = False
        if not agree:
            yield Damage(at, "the indexes at its end")
        return None

    def _content(self, at: int, opcode: int, content: bytes) -> Iterator[Found]:
        """What a record outside of a chunk holds. Raises ValueError."""
        if opcode == Opcode.METADATA:
            note = parse(Metadata, content)
            yield Note(note.name, note.metadata)
        elif opcode == Opcode.CHUNK:
            yield from self._chunk(at, content)
        else:
            yield from self._take(opcode, memoryview(content))

    def _chunk(self, at: int, content: bytes) -> Iterator[Found]:
        head = chunk_head(content)
        self._places += place(head.first_ns, head.last_ns, at)
        for opcode, record in records(chunk_data(content)):
            for message in self._take(opcode, record):
                if head.first_ns <= message.log_time_ns <= head.last_ns:
                    yield message
                else:
                    yield Damage(at, f"{message.stream}: a message outside of its chunk's time")

    def _take(self, opcode: int, content: memoryview) -> Iterator[Stored]:
        """Learn a schema or channel, yield a message. Raises ValueError."""
        if opcode == Opcode.SCHEMA:
            schema = parse(Schema, content)
            self._schemas[schema.id] = schema.name
        elif opcode == Opcode.CHANNEL:
            channel = parse(Channel, content)
            name = self._schemas.get(channel.schema_id) or channel.metadata.get(SCHEMA_KEY, "")
            self._channels[channel.id] = (channel.topic, name)
        elif opcode == Opcode.MESSAGE:
            message = raw_message(content)
            if message.channel_id not in self._channels:
                raise ValueError("a message without a channel")
            stream, schema_name = self._channels[message.channel_id]
            yield Stored(
                stream=stream,
                schema=schema_name,
                sequence=message.sequence,
                log_time_ns=message.log_time_ns,
                data=message.data,
            )

    def _open_chunk(self, at: int) -> Step:
        """The whole messages of a chunk that its writer did not finish, or whose length lies."""
        file = self._file
        begin = at + RECORD_HEAD_BYTES
        content = file.read(begin, min(file.size_bytes - begin, MAX_CHUNK_BYTES + _MAX_HEAD_BYTES))
        used_bytes = 0
        try:
            head = chunk_head(content)
            begin += head.data_at
            view = memoryview(content)[head.data_at :]
            for opcode, record in records(expand(view, head.compression, MAX_CHUNK_BYTES)):
                if opcode not in _IN_CHUNK:
                    break
                for message in self._take(opcode, record):
                    decode(message, 0)  # no checksum tells whether it is whole
                    yield message
                used_bytes += 0 if head.compression else RECORD_HEAD_BYTES + len(record)
        except (ValueError, LogError):
            pass  # here the readable part ends
        yield Damage(at, "a chunk that was not finished")
        return self._next_chunk(max(at + 1, begin + used_bytes))

    def _next_chunk(self, at: int) -> int | None:
        """The offset of the next chunk that is whole, or that its writer did not finish."""
        file = self._file
        while at < file.size_bytes and self._wasted_bytes < _MAX_WASTED_BYTES:
            self._advance(at)
            window = file.read(at, min(_WINDOW_BYTES + _MAX_HEAD_BYTES, file.size_bytes - at))
            for match in _CHUNK.finditer(window, 0):
                if self._is_chunk(at + match.start()):
                    return at + match.start()
            at += _WINDOW_BYTES
        return None

    def _is_chunk(self, at: int) -> bool:
        file = self._file
        try:
            _, length = file.record_head(at)
            begin = at + RECORD_HEAD_BYTES
            head = chunk_head(file.read(begin, min(_MAX_HEAD_BYTES, file.size_bytes - begin)))
            if length != head.data_at + head.data_bytes or head.first_ns > head.last_ns:
                return False
            if begin + length > file.size_bytes:
                return head.data_bytes == MAX_CHUNK_BYTES
            self._wasted_bytes += length
            chunk_data(file.read(begin, length))
        except (ValueError, LogError):
            self._wasted_bytes += _MAX_HEAD_BYTES
            return False
        self._wasted_bytes -= length
        return head.crc != 0
