"""What stands at the end of a log: schemas, channels, statistics and the indexes."""

from __future__ import annotations

import struct

from mcap.data_stream import RecordBuilder
from mcap.opcode import Opcode
from mcap.records import (
    Channel,
    ChunkIndex,
    DataEnd,
    Footer,
    McapRecord,
    Metadata,
    MetadataIndex,
    Schema,
    Statistics,
    SummaryOffset,
)
from zlib_ng.zlib_ng import crc32

MAGIC = b"\x89MCAP0\r\n"
_FOOTER_HEAD = struct.Struct("<BQQQ")
_FOOTER_BYTES = 20


def record_bytes(record: McapRecord) -> bytes:
    """A small record as it stands in a file."""
    builder = RecordBuilder()
    record.write(builder)
    made: bytes = builder.end()
    return made


class Summary:
    """Collects what the end of the file says; indexes are kept as bytes, an hour has 15,000."""

    def __init__(self) -> None:
        self.schemas: dict[str, Schema] = {}
        self.channels: dict[tuple[str, str], Channel] = {}
        self._chunks = bytearray()
        self._notes = bytearray()
        self._statistics = Statistics(
            attachment_count=0,
            channel_count=0,
            channel_message_counts={},
            chunk_count=0,
            message_count=0,
            message_end_time=0,
            message_start_time=0,
            metadata_count=0,
            schema_count=0,
        )

    def add_chunk(self, index: ChunkIndex, counts: dict[int, int]) -> None:
        """`counts` {channel: messages in the chunk}."""
        self._chunks += record_bytes(index)
        statistics = self._statistics
        first_ns, last_ns = index.message_start_time, index.message_end_time
        if statistics.chunk_count:
            first_ns = min(first_ns, statistics.message_start_time)
            last_ns = max(last_ns, statistics.message_end_time)
        statistics.message_start_time, statistics.message_end_time = first_ns, last_ns
        statistics.chunk_count += 1
        for channel_id, n in counts.items():
            before = statistics.channel_message_counts.get(channel_id, 0)
            statistics.channel_message_counts[channel_id] = before + n
            statistics.message_count += n

    def add_note(self, note: Metadata, at: int, size_bytes: int) -> None:
        """A Metadata record that lies at the offset `at`."""
        self._notes += record_bytes(MetadataIndex(offset=at, length=size_bytes, name=note.name))
        self._statistics.metadata_count += 1

    def end(self, at: int) -> bytes:
        """Everything behind the data section, which ends at the offset `at`."""
        self._statistics.schema_count = len(self.schemas)
        self._statistics.channel_count = len(self.channels)
        data_end = record_bytes(DataEnd(data_section_crc=0))
        start = at + len(data_end)
        groups = {
            Opcode.SCHEMA: b"".join(map(record_bytes, self.schemas.values())),
            Opcode.CHANNEL: b"".join(map(record_bytes, self.channels.values())),
            Opcode.STATISTICS: record_bytes(self._statistics),
            Opcode.CHUNK_INDEX: bytes(self._chunks),
            Opcode.METADATA_INDEX: bytes(self._notes),
        }
        offsets, group_start = b"", start
        for opcode, data in groups.items():
            if data:
                offsets += record_bytes(SummaryOffset(opcode, group_start, len(data)))
            group_start += len(data)
        summary = b"".join(groups.values()) + offsets
        return data_end + summary + _footer(summary, start, group_start) + MAGIC


def _footer(summary: bytes, start: int, offsets_start: int) -> bytes:
    head = _FOOTER_HEAD.pack(Opcode.FOOTER, _FOOTER_BYTES, start, offsets_start)
    return record_bytes(Footer(start, offsets_start, crc32(head, crc32(summary))))
