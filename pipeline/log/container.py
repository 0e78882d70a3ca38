"""Reading the records of an MCAP file whose every length may be a lie."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

import lz4.frame
import zstandard
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from zlib_ng.zlib_ng import crc32

from pipeline.log.form import MAX_CHUNK_BYTES, LogError
from pipeline.log.summary import MAGIC

MAX_RECORD_BYTES = 16 * 2**20  # of all but chunks
_RECORD_HEAD = struct.Struct("<BQ")
RECORD_HEAD_BYTES = _RECORD_HEAD.size
_CHUNK_HEAD = struct.Struct("<QQQII")
_SIZE = struct.Struct("<Q")
_MESSAGE_HEAD = struct.Struct("<HIQQ")
_MAX_NAME_BYTES = 8  # of a compression
_STEP_BYTES = 2**20
_MAX_WINDOW_BYTES = 2**25
T = TypeVar("T", covariant=True)


class _Readable(Protocol[T]):
    """A record class of the mcap package."""

    @staticmethod
    def read(stream: ReadDataStream) -> T: ...


class ChunkHead(NamedTuple):
    """The fixed part of a chunk record; its data begins `data_at` bytes into the content."""

    first_ns: int
    last_ns: int
    uncompressed_bytes: int
    crc: int
    compression: str
    data_at: int
    data_bytes: int


class RawMessage(NamedTuple):
    """A message record in a chunk; `data` is a view."""

    channel_id: int
    sequence: int
    log_time_ns: int
    data: memoryview


class LogFile:
    """A file to read at any place. Raises LogError where it ends too soon."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise LogError(f"{path}: cannot be read: {error.strerror}") from error
        status = os.fstat(self._fd)
        self.size_bytes = status.st_size
        if not stat.S_ISREG(status.st_mode):  # a pipe has no end to read from
            os.close(self._fd)
            raise LogError(f"{path} is no file")

    def close(self) -> None:
        os.close(self._fd)

    def read(self, at: int, size_bytes: int) -> bytes:
        """Exactly so many bytes; never more are allocated than the file has."""
        if at < 0 or size_bytes < 0 or at + size_bytes > self.size_bytes:
            raise self.cut_off()
        try:
            data = os.pread(self._fd, size_bytes, at)
        except OSError as error:
            raise LogError(f"{self.path}: cannot be read: {error.strerror}") from error
        if len(data) < size_bytes:
            raise self.cut_off()
        return data

    def record_head(self, at: int) -> tuple[int, int]:
        """The opcode of the record at this offset and the bytes behind its head."""
        opcode, length = _RECORD_HEAD.unpack(self.read(at, RECORD_HEAD_BYTES))
        return opcode, length

    def record(self, at: int, opcode: int) -> bytes:
        """The content of the record at this offset, which must be of this kind."""
        found, length = self.record_head(at)
        limit_bytes = MAX_CHUNK_BYTES if opcode == Opcode.CHUNK else MAX_RECORD_BYTES
        if found != opcode or length > limit_bytes:
            raise self.corrupt(f"no record of kind {opcode} where its index says")
        return self.read(at + RECORD_HEAD_BYTES, length)

    def check_magic(self) -> None:
        """Raises LogError for an empty and for a foreign file."""
        if not self.size_bytes:
            raise LogError(f"{self.path} is empty")
        if self.size_bytes < len(MAGIC) or self.read(0, len(MAGIC)) != MAGIC:
            raise LogError(f"{self.path} is no MCAP file")

    def cut_off(self) -> LogError:
        return LogError(
            f"{self.path} is cut off or was not closed: run `sensorium repair {self.path}`"
        )

    def corrupt(self, why: object) -> LogError:
        return LogError(f"{self.path} is damaged ({why}): run `sensorium repair {self.path}`")


def parse(kind: type[_Readable[T]], content: bytes | memoryview) -> T:
    """A record's content as the record. Raises ValueError."""
    try:
        return kind.read(ReadDataStream(BytesIO(content)))
    except (McapError, struct.error, OverflowError) as error:
        raise ValueError(f"a damaged {kind.__name__} record") from error


def chunk_head(content: bytes | memoryview) -> ChunkHead:
    """The head of a chunk, from the first bytes of its content. Raises ValueError."""
    try:
        *fixed, name_bytes = _CHUNK_HEAD.unpack_from(content)
        if name_bytes > _MAX_NAME_BYTES:
            raise ValueError("a chunk with a compression of unknown name")
        at = _CHUNK_HEAD.size + name_bytes
        (data_bytes,) = _SIZE.unpack_from(content, at)
    except struct.error as error:
        raise ValueError("a chunk that is too short") from error
    name = bytes(content[_CHUNK_HEAD.size : at]).decode()
    first_ns, last_ns, uncompressed_bytes, crc = fixed
    head = ChunkHead(first_ns, last_ns, uncompressed_bytes, crc, name, at + _SIZE.size, data_bytes)
    if uncompressed_bytes > MAX_CHUNK_BYTES or name not in ("", "lz4", "zstd"):
        raise ValueError(f"a chunk of {uncompressed_bytes} bytes, compressed with {name!r}")
    return head


def chunk_data(content: bytes | memoryview) -> memoryview:
    """The records in a chunk, uncompressed and checked. Raises ValueError."""
    head = chunk_head(content)
    view = memoryview(content)[head.data_at :]
    if len(view) != head.data_bytes:
        raise ValueError("a chunk whose lengths differ")
    data = expand(view, head.compression, head.uncompressed_bytes)
    if len(data) != head.uncompressed_bytes:
        raise ValueError(f"a chunk of {len(data)} bytes, {head.uncompressed_bytes} expected")
    if head.crc and crc32(data) != head.crc:
        raise ValueError("a chunk whose checksum differs")
    return data


def expand(view: memoryview, compression: str, limit_bytes: int) -> memoryview:
    """What is compressed in the view, as far as it goes, at most so many bytes and one step.

    Memory grows with what comes out, not with what is promised. Raises ValueError.
    """
    if not compression:
        return view
    data = bytearray()
    try:
        for piece in _pieces(view, compression):
            data += piece
            if len(data) > limit_bytes:
                raise ValueError("a chunk that is larger than it says")
    except (RuntimeError, zstandard.ZstdError) as error:
        if not data:
            raise ValueError(f"a chunk that cannot be decompressed: {error}") from error
    return memoryview(data).toreadonly()


def _pieces(view: memoryview, compression: str) -> Iterator[bytes]:
    if compression == "zstd":
        reader = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES).stream_reader(view)
        while piece := reader.read(_STEP_BYTES):
            yield piece
        return
    decompressor = lz4.frame.LZ4FrameDecompressor()
    piece = decompressor.decompress(view, max_length=_STEP_BYTES)
    while piece:
        yield piece
        if decompressor.eof:
            return
        piece = decompressor.decompress(b"", max_length=_STEP_BYTES)


def records(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """The records in a chunk's data: (opcode, content). Raises ValueError at a partial one."""
    at = 0
    while at < len(data):
        if at + RECORD_HEAD_BYTES > len(data):
            raise ValueError("a record that is cut off")
        opcode, length = _RECORD_HEAD.unpack_from(data, at)
        at += RECORD_HEAD_BYTES
        if at + length > len(data):
            raise ValueError("a record that is cut off")
        yield opcode, data[at : at + length]
        at += length


def raw_message(content: memoryview) -> RawMessage:
    """A message record. Raises ValueError."""
    try:
        channel_id, sequence, log_time_ns, _ = _MESSAGE_HEAD.unpack_from(content)
    except struct.error as error:
        raise ValueError("a message record that is too short") from error
    return RawMessage(channel_id, sequence, log_time_ns, content[_MESSAGE_HEAD.size :])
