"""Reads a log in order, chunk by chunk: an hour takes no more memory than a second."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from types import TracebackType

from mcap.opcode import Opcode
from mcap.records import Channel, Metadata
from msgspec import Struct

from pipeline.config import Config
from pipeline.log.codec import Stored, decode
from pipeline.log.container import LogFile, chunk_data, parse, raw_message, records
from pipeline.log.form import HEADER_NAME, LogError, LogHeader, config_of, header_of
from pipeline.log.index import Index
from pipeline.log.merge import Loaded, Merge
from pipeline.log.schema import SCHEMAS
from pipeline.sample import Sample


class StreamSummary(Struct, frozen=True, kw_only=True):
    """What a log holds of one stream: the monotonic times of its first and last sample."""

    schema: str
    n_messages: int
    first_publish_ns: int
    last_publish_ns: int


class LogReader:
    """An open log; use it in a `with` block. Raises LogError for what is no whole log."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = LogFile(path)
        try:
            self._file.check_magic()
            self._index = Index(self._file)
            self.notes = self._notes()
            self.header: LogHeader = self._header()
            self.streams = self._streams()
        except LogError:
            self._file.close()
            raise

    def __enter__(self) -> LogReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    @property
    def config(self) -> Config | None:
        """The configuration that was recorded with, if any. Raises LogError."""
        return config_of(self.header)

    def samples(
        self,
        streams: Collection[str] | None = None,
        *,
        start_ns: int | None = None,
        end_ns: int | None = None,
    ) -> Iterator[Sample]:
        """Samples with start <= t_publish_ns < end, in the order (t_publish_ns, stream, seq).

        Ties go by the lowest 32 bits of seq: MCAP's field for it holds no more.
        Times are those of the recording's monotonic clock. Channels of foreign schemas, which
        `streams` lists too, are passed over. Raises LogError.
        """
        for name in streams or ():
            if name not in self.streams:
                raise LogError(
                    f"{self._file.path} has no stream {name!r}: {', '.join(self.streams)}"
                )
        wanted = {
            channel.id: channel
            for channel in self._index.channels.values()
            if (streams is None or channel.topic in streams)
            and self._index.schema_of(channel) in SCHEMAS
        }
        offset_ns = self.header.wall_minus_monotonic_ns
        begin_ns = 0 if start_ns is None else start_ns + offset_ns
        until_ns = 2**64 if end_ns is None else end_ns + offset_ns
        places = self._places(begin_ns, until_ns)
        for stored in Merge(places, lambda at: self._load(at, wanted, begin_ns, until_ns)):
            yield decode(stored, offset_ns)

    def indexes(self, places: bytearray, channels: Mapping[int, tuple[str, str]]) -> bool:
        """Whether its index names just these chunks, as `pipeline.log.index.place` packs them.

        And it has no other stream or schema for one of the channels.
        """
        return self._index.agrees(places) and self._index.knows(channels)

    def _places(self, begin_ns: int, until_ns: int) -> Iterator[tuple[int, int]]:
        places = self._index.places
        for first_ns, last_ns, at in places:
            if first_ns < until_ns and last_ns >= begin_ns:
                yield int(first_ns), int(at)

    def _load(self, at: int, wanted: dict[int, Channel], begin_ns: int, until_ns: int) -> Loaded:
        """The wanted messages of the chunk at this offset."""
        file = self._file
        try:
            data = chunk_data(file.record(at, Opcode.CHUNK))
            messages = [
                Stored(
                    stream=wanted[message.channel_id].topic,
                    schema=self._index.schema_of(wanted[message.channel_id]),
                    sequence=message.sequence,
                    log_time_ns=message.log_time_ns,
                    data=message.data,
                )
                for opcode, content in records(data)
                if opcode == Opcode.MESSAGE
                and (message := raw_message(content)).channel_id in wanted
                and begin_ns <= message.log_time_ns < until_ns
            ]
        except ValueError as error:
            raise file.corrupt(error) from error
        return Loaded(messages, len(data))

    def _notes(self) -> list[tuple[str, dict[str, str]]]:
        try:
            notes = [
                parse(Metadata, self._file.record(index.offset, Opcode.METADATA))
                for index in self._index.notes
            ]
        except ValueError as error:
            raise self._file.corrupt(error) from error
        return [(note.name, note.metadata) for note in notes]

    def _header(self) -> LogHeader:
        for name, values in self.notes:
            if name == HEADER_NAME:
                return header_of(values)
        raise LogError(
            f"{self._file.path} is an MCAP file of another program: try `sensorium import`"
        )

    def _streams(self) -> dict[str, StreamSummary]:
        offset_ns = self.header.wall_minus_monotonic_ns
        found: dict[str, StreamSummary] = {}
        for channel in sorted(self._index.channels.values(), key=lambda channel: channel.topic):
            first_ns, last_ns = self._index.span_ns(channel.id)
            line = StreamSummary(
                schema=self._index.schema_of(channel),
                n_messages=self._index.counts.get(channel.id, 0),
                first_publish_ns=first_ns - offset_ns,
                last_publish_ns=last_ns - offset_ns,
            )
            before = found.get(channel.topic)
            found[channel.topic] = line if before is None else _together(before, line)
        return found


def _together(a: StreamSummary, b: StreamSummary) -> StreamSummary:
    """Two channels of one stream, as after a change of its form."""
    newer = max(a, b, key=lambda line: line.last_publish_ns)
    return StreamSummary(
        schema=newer.schema,
        n_messages=a.n_messages + b.n_messages,
        first_publish_ns=min(a.first_publish_ns, b.first_publish_ns),
        last_publish_ns=newer.last_publish_ns,
    )
