"""A chunk in the making: its messages go to the file at once, its head is put right at its end.

So a killed writer leaves all that it was given, but for the message of that moment, and a chunk
is never held in memory. Until its end the head claims the most that a chunk may hold.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Sequence

import lz4.frame
import zstandard
from mcap.opcode import Opcode
from mcap.records import ChunkIndex
from zlib_ng.zlib_ng import crc32

from pipeline.config import Compression
from pipeline.log.form import MAX_CHUNK_BYTES
from pipeline.log.pack import Buffer

# Opcode, length; first and last time; bytes and CRC uncompressed; length of the compression's name.
_HEAD = struct.Struct("<BQQQQII")
_SIZE = struct.Struct("<Q")
RECORD_HEAD_BYTES = 9  # of each record: opcode and length
_INDEX_HEAD = struct.Struct("<BQHI")
_INDEX_ENTRY = struct.Struct("<QQ")
NAMES = {"none": "", "lz4": "lz4", "zstd": "zstd"}


class ChunkWriter:
    """Writes one chunk at the end of the file `fd`, whose size is `at`. Raises OSError."""

    def __init__(self, fd: int, at: int, log_time_ns: int, compression: Compression) -> None:
        self._fd = fd
        self._at = at
        self._name = NAMES[compression].encode()
        self._squeezer = _squeezer(compression)
        self._crc = 0
        self._entries: dict[int, list[tuple[int, int]]] = {}
        self.first_ns = self.last_ns = log_time_ns
        self.schemas: set[str] = set()  # whose records it holds
        self.uncompressed_bytes = 0
        self._data_bytes = 0
        head = self._head(MAX_CHUNK_BYTES, MAX_CHUNK_BYTES)
        self._head_bytes = len(head)
        write_all(fd, [head])
        if self._squeezer:
            self._put([self._squeezer.begin()])

    @property
    def size_bytes(self) -> int:
        """In the file, so far."""
        return self._head_bytes + self._data_bytes

    @property
    def counts(self) -> dict[int, int]:
        """{channel: messages}."""
        return {channel_id: len(entries) for channel_id, entries in self._entries.items()}

    def holds(self, channel_id: int) -> bool:
        """Whether a message of this channel is in it, and so the channel's record."""
        return channel_id in self._entries

    def add(self, parts: Sequence[Buffer]) -> None:
        """Append a record, whole."""
        for part in parts:
            self._crc = crc32(part, self._crc)
            self.uncompressed_bytes += len(part)
        if self._squeezer:
            squeezed = [self._squeezer.squeeze(part) for part in parts]
            self._put([*squeezed, self._squeezer.flush()])
        else:
            self._put(parts)

    def add_message(self, channel_id: int, log_time_ns: int, parts: Sequence[Buffer]) -> None:
        """Append a message record, and index it."""
        entries = self._entries.setdefault(channel_id, [])
        entries.append((log_time_ns, self.uncompressed_bytes))
        self.first_ns = min(self.first_ns, log_time_ns)
        self.last_ns = max(self.last_ns, log_time_ns)
        self.add(parts)

    def close(self) -> tuple[ChunkIndex, int]:
        """End the chunk and write its message indexes: the chunk's index, and the file's size."""
        if self._squeezer:
            self._put([self._squeezer.end()])
        os.pwrite(self._fd, self._head(self.uncompressed_bytes, self._data_bytes), self._at)
        chunk_bytes = self._head_bytes + self._data_bytes
        indexes, offsets, at = [], {}, self._at + chunk_bytes
        for channel_id, entries in self._entries.items():
            offsets[channel_id] = at
            indexes.append(_message_index(channel_id, entries))
            at += len(indexes[-1])
        write_all(self._fd, indexes)
        index = ChunkIndex(
            chunk_length=chunk_bytes,
            chunk_start_offset=self._at,
            compression=self._name.decode(),
            compressed_size=self._data_bytes,
            message_end_time=self.last_ns,
            message_index_length=at - self._at - chunk_bytes,
            message_index_offsets=offsets,
            message_start_time=self.first_ns,
            uncompressed_size=self.uncompressed_bytes,
        )
        return index, at

    def _put(self, parts: Sequence[Buffer]) -> None:
        self._data_bytes += write_all(self._fd, parts)

    def _head(self, uncompressed_bytes: int, data_bytes: int) -> bytes:
        behind = self._name + _SIZE.pack(data_bytes)
        length = _HEAD.size - RECORD_HEAD_BYTES + len(behind) + data_bytes
        times = (self.first_ns, self.last_ns)
        name_bytes = len(self._name)
        return (
            _HEAD.pack(Opcode.CHUNK, length, *times, uncompressed_bytes, self._crc, name_bytes)
            + behind
        )


class _Lz4:
    def __init__(self) -> None:
        self._compressor = lz4.frame.LZ4FrameCompressor(
            block_size=lz4.frame.BLOCKSIZE_MAX1MB, auto_flush=True
        )

    def begin(self) -> bytes:
        return bytes(self._compressor.begin())

    def squeeze(self, part: Buffer) -> bytes:
        return bytes(self._compressor.compress(part))

    def flush(self) -> bytes:
        return b""  # it keeps nothing back

    def end(self) -> bytes:
        return bytes(self._compressor.flush())


class _Zstd:
    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor(level=1).compressobj()

    def begin(self) -> bytes:
        return b""

    def squeeze(self, part: Buffer) -> bytes:
        return self._compressor.compress(part)

    def flush(self) -> bytes:
        return self._compressor.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)

    def end(self) -> bytes:
        return self._compressor.flush()


def _squeezer(compression: Compression) -> _Lz4 | _Zstd | None:
    if compression == "lz4":
        return _Lz4()
    return _Zstd() if compression == "zstd" else None


def write_all(fd: int, parts: Iterable[Buffer]) -> int:
    """Append the parts to a file, all of them; returns how many bytes. Raises OSError."""
    left = [part for part in parts if len(part)]
    total = sum(len(part) for part in left)
    while left:
        done = os.writev(fd, left)
        while left and done >= len(left[0]):
            done -= len(left.pop(0))
        if done:
            left[0] = memoryview(left[0])[done:]
    return total


def _message_index(channel_id: int, entries: Sequence[tuple[int, int]]) -> bytes:
    body = b"".join(_INDEX_ENTRY.pack(*entry) for entry in entries)
    length = _INDEX_HEAD.size - RECORD_HEAD_BYTES + len(body)
    return _INDEX_HEAD.pack(Opcode.MESSAGE_INDEX, length, channel_id, len(body)) + body
