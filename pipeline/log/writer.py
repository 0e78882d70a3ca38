"""Writes a log: chunks of at most a quarter of a second, and at the end the indexes over all."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from mcap.opcode import Opcode
from mcap.records import Channel, Header, Metadata, Schema
from msgspec.structs import replace

from pipeline.config import Compression
from pipeline.log.chunk import RECORD_HEAD_BYTES, ChunkWriter, write_all
from pipeline.log.codec import Encoded, encode
from pipeline.log.form import (
    CHUNK_BYTES,
    CHUNK_SPAN_NS,
    HEADER_NAME,
    LogError,
    LogHeader,
    header_values,
)
from pipeline.log.schema import descriptor_set
from pipeline.log.summary import MAGIC, Summary, record_bytes
from pipeline.sample import Sample
from pipeline.stream import Form

LIBRARY = "sensorium"
SCHEMA_KEY = "schema"  # in a channel's metadata: its schema's name, should that record be lost
_MESSAGE_HEAD = struct.Struct("<BQHIQQ")  # opcode, length, channel, sequence, two times
_MAX_TIME_NS = 2**64 - 1


class LogWriter:
    """One log, from its beginning to `close`; use it in a `with` block.

    One thread appends; any thread may encode. A write that fails raises LogError and takes the
    open chunk out of the file again: the log can still be closed, and is whole up to there.
    """

    def __init__(self, path: Path, header: LogHeader, *, compression: Compression = "none") -> None:
        self.header = header
        self.begun_ns = self.ended_ns = 0  # t_publish_ns of the first and the last sample
        self._n_messages = 0
        self._path = path
        self._compression: Compression = compression
        self._offset_ns = header.wall_minus_monotonic_ns
        self._summary = Summary()
        self._chunk: ChunkWriter | None = None
        self._stored_schemas: set[str] = set()  # those that a closed chunk holds
        self._end = 0  # of what is closed: here the file is cut when a write fails
        self._fd = _create(path)
        try:
            self._end = write_all(self._fd, [MAGIC, record_bytes(Header("", LIBRARY))])
            self.note(HEADER_NAME, header_values(header))
        except OSError as error:
            raise self._failed(error) from error

    def __enter__(self) -> LogWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
            return
        with suppress(LogError):  # the first error is the one to tell
            self.close()

    @property
    def size_bytes(self) -> int:
        """Of the file, so far."""
        return self._end + (self._chunk.size_bytes if self._chunk else 0)

    def write(self, sample: Sample, form: Form = "lossless") -> None:
        """Store a sample whose memory stays as it is meanwhile. Raises LogError."""
        self.append(encode(sample, form, self._offset_ns))

    def encode(self, sample: Sample, form: Form = "lossless") -> Encoded:
        """A message with a copy of the sample; ask a frame then whether it was intact."""
        made = encode(sample, form, self._offset_ns)
        return replace(made, parts=(b"".join(made.parts),))

    def append(self, message: Encoded) -> None:
        """Store a message. Raises LogError."""
        log_time_ns = message.t_publish_ns + self._offset_ns
        if not (0 <= log_time_ns <= _MAX_TIME_NS and message.seq >= 0):
            raise LogError(f"{message.stream}: its time or seq is below 0 or too large")
        try:
            self._append(message, log_time_ns)
        except OSError as error:
            raise self._failed(error) from error
        first = self._n_messages == 0
        self._n_messages += 1
        self.begun_ns = message.t_publish_ns if first else min(self.begun_ns, message.t_publish_ns)
        self.ended_ns = message.t_publish_ns if first else max(self.ended_ns, message.t_publish_ns)

    def note(self, name: str, values: Mapping[str, str]) -> None:
        """Store named strings. Raises LogError."""
        note = Metadata(name=name, metadata=dict(values))
        record = record_bytes(note)
        try:
            self._end_chunk()
            write_all(self._fd, [record])
        except OSError as error:
            raise self._failed(error) from error
        self._summary.add_note(note, self._end, len(record))
        self._end += len(record)

    def close(self) -> None:
        """Write the indexes; the file is whole then. Raises LogError. Twice is once."""
        if self._fd < 0:
            return
        try:
            self._end_chunk()
            self._end += write_all(self._fd, [self._summary.end(self._end)])
        except OSError as error:
            raise self._failed(error) from error
        finally:
            os.close(self._fd)
            self._fd = -1

    def _append(self, message: Encoded, log_time_ns: int) -> None:
        chunk = self._room(log_time_ns)
        channel = self._channel(message.stream, message.schema)
        if not chunk.holds(channel.id):
            if message.schema not in self._stored_schemas | chunk.schemas:
                chunk.add((record_bytes(self._summary.schemas[message.schema]),))
                chunk.schemas.add(message.schema)
            chunk.add((record_bytes(channel),))  # in each chunk, so that each can be read alone
        size_bytes = _MESSAGE_HEAD.size - RECORD_HEAD_BYTES + sum(map(len, message.parts))
        times = (log_time_ns, log_time_ns)
        sequence = message.seq & 0xFFFF_FFFF
        head = _MESSAGE_HEAD.pack(Opcode.MESSAGE, size_bytes, channel.id, sequence, *times)
        chunk.add_message(channel.id, log_time_ns, (head, *message.parts))

    def _room(self, log_time_ns: int) -> ChunkWriter:
        """The open chunk, if a message of this time may go into it, or a new one."""
        if self._chunk and (
            max(self._chunk.last_ns, log_time_ns) - min(self._chunk.first_ns, log_time_ns)
            > CHUNK_SPAN_NS
            or self._chunk.uncompressed_bytes >= CHUNK_BYTES
        ):
            self._end_chunk()
        if not self._chunk:
            self._chunk = ChunkWriter(self._fd, self._end, log_time_ns, self._compression)
        return self._chunk

    def _channel(self, stream: str, schema: str) -> Channel:
        summary = self._summary
        if (found := summary.channels.get((stream, schema))) is not None:
            return found
        if schema not in summary.schemas:
            data, schema_id = descriptor_set(schema), len(summary.schemas) + 1
            summary.schemas[schema] = Schema(schema_id, data, "protobuf", schema)
        made = Channel(
            id=len(summary.channels) + 1,
            topic=stream,
            message_encoding="protobuf",
            metadata={SCHEMA_KEY: schema},
            schema_id=summary.schemas[schema].id,
        )
        summary.channels[stream, schema] = made
        return made

    def _end_chunk(self) -> None:
        if not self._chunk:
            return
        index, end = self._chunk.close()
        self._summary.add_chunk(index, self._chunk.counts)
        self._stored_schemas |= self._chunk.schemas
        self._chunk, self._end = None, end

    def _failed(self, error: OSError) -> LogError:
        """The file is whole up to its last closed chunk again; says what happened."""
        self._chunk = None
        with suppress(OSError):
            os.ftruncate(self._fd, self._end)
            os.lseek(self._fd, self._end, os.SEEK_SET)
        return LogError(f"{self._path}: cannot be written: {error.strerror}")


def _create(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise LogError(f"{path} exists already: choose another name") from error
    except OSError as error:
        raise LogError(f"{path}: cannot be written: {error.strerror}") from error
