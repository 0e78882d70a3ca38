"""What a log holds: streams, rates, gaps, drift, labels, notes, and what is damaged."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

from msgspec import Struct

from pipeline.log.codec import Stored, decode
from pipeline.log.container import LogFile
from pipeline.log.drift import DriftMeter
from pipeline.log.form import HEADER_NAME, LogError, LogHeader, header_of
from pipeline.log.gap import GapCounter
from pipeline.log.label_count import LabelCounter, LabelInfo, label_line
from pipeline.log.scan import Damage, DamageList, Note, Scan
from pipeline.log.schema import LABEL, RAW_AUDIO, SCHEMAS
from pipeline.progress import progress
from pipeline.sample import AudioChunk, Label


class StreamInfo(Struct, kw_only=True):
    """One stream. `missing` counts lost sequence numbers, `restarts` counts new beginnings."""

    schema: str
    samples: int = 0
    bytes: int = 0
    first_s: float = 0.0  # since the log's first sample
    last_s: float = 0.0
    rate_hz: float | None = None
    missing: int = 0
    restarts: int = 0
    longest_gap_s: float = 0.0
    drift_ppm: float | None = None  # of a microphone's clock against the host's, if it shows


class LogInfo(Struct, kw_only=True):
    """A whole log. `begun` is its first sample in UTC.

    `unlisted_labels` counts those of a stream with so many names that not all are in `labels`.
    """

    file: str
    size_bytes: int
    samples: int = 0
    begun: str = ""
    duration_s: float = 0.0
    origin: str = ""
    bundle_sha256: str = ""
    has_config: bool = False
    streams: dict[str, StreamInfo] = {}
    labels: dict[str, dict[str, LabelInfo]] = {}
    unlisted_labels: dict[str, int] = {}
    notes: list[Note] = []
    damage: list[str] = []

    def text(self) -> str:
        """For people."""
        mib = self.size_bytes / 2**20
        lines = [
            f"{self.file}: {self.samples} samples, {self.duration_s:.2f} s, {mib:.1f} MiB,"
            f" {self.origin or 'unknown origin'}, begun {self.begun or 'never'}"
        ]
        lines += [_stream_line(name, line) for name, line in self.streams.items()]
        for stream, labels in self.labels.items():
            lines.append(label_line(stream, labels, self.unlisted_labels.get(stream, 0)))
        for name, values in self.notes:
            lines.append(f"  note {name}: " + ", ".join(f"{k}={v}" for k, v in values.items()))
        lines += [f"  damage: {what}" for what in self.damage]
        if self.damage:
            lines.append(f"  run `sensorium repair {self.file}`")
        return "\n".join(lines)


def info(path: Path) -> LogInfo:
    """Read all of a log, also of a damaged one. Raises LogError for an empty or foreign file."""
    file = LogFile(path)
    try:
        survey = _Survey(LogInfo(file=str(path), size_bytes=file.size_bytes))
        with progress(f"reading {path.name}", file.size_bytes) as advance:
            for item in Scan(file, advance):
                survey.take(item)
    finally:
        file.close()
    return survey.result()


class _Stream:
    """Counts over the messages of one stream."""

    def __init__(self, schema: str) -> None:
        self.info = StreamInfo(schema=schema)
        self.gaps = GapCounter()
        self.drift = DriftMeter()
        self.first_ns = self.last_ns = 0

    def count(self, message: Stored) -> None:
        time_ns, info = message.log_time_ns, self.info
        first = info.samples == 0
        self.gaps(message.sequence)
        if not first:
            info.longest_gap_s = max(info.longest_gap_s, (time_ns - self.last_ns) / 1e9)
        self.first_ns = time_ns if first else min(time_ns, self.first_ns)
        self.last_ns = time_ns if first else max(time_ns, self.last_ns)
        info.samples += 1
        info.bytes += len(message.data)
        info.schema = message.schema

    def result(self, begun_ns: int) -> StreamInfo:
        info, span_ns = self.info, self.last_ns - self.first_ns
        info.first_s, info.last_s = (
            (self.first_ns - begun_ns) / 1e9,
            (self.last_ns - begun_ns) / 1e9,
        )
        info.rate_hz = (info.samples - 1) * 1e9 / span_ns if span_ns else None
        info.missing, info.restarts = self.gaps.missing, self.gaps.restarts
        info.drift_ppm = self.drift.ppm
        return info


class _Survey:
    def __init__(self, info: LogInfo) -> None:
        self._info = info
        self._streams: dict[str, _Stream] = {}
        self._header: LogHeader | None = None
        self._damage = DamageList()
        self._labels = LabelCounter()

    def take(self, item: Stored | Note | Damage) -> None:
        if isinstance(item, Damage):
            self._damage.add(f"{item.why} (byte {item.at})")
        elif isinstance(item, Stored):
            self._count(item)
        elif item.name == HEADER_NAME and self._header is None:
            self._take_header(item)
        else:
            self._info.notes.append(item)

    def result(self) -> LogInfo:
        info, header, streams = self._info, self._header, self._streams
        info.damage = self._damage.told()
        info.labels, info.unlisted_labels = self._labels.streams, dict(self._labels.unlisted)
        if not header and not any(line.info.schema in SCHEMAS for line in streams.values()):
            raise LogError(f"{info.file} holds no samples: try `sensorium import`")
        if header:
            info.origin, info.bundle_sha256 = header.origin, header.bundle_sha256
            info.has_config = bool(header.config)
        if streams:
            begun_ns = min(line.first_ns for line in streams.values())
            ended_ns = max(line.last_ns for line in streams.values())
            info.begun = _utc(begun_ns)
            info.duration_s = (ended_ns - begun_ns) / 1e9
            info.samples = sum(line.info.samples for line in streams.values())
            info.streams = {name: streams[name].result(begun_ns) for name in sorted(streams)}
        return info

    def _take_header(self, note: Note) -> None:
        try:
            self._header = header_of(note.values)
        except LogError as error:
            self._damage.add(str(error))

    def _count(self, message: Stored) -> None:
        stream = self._streams.setdefault(message.stream, _Stream(message.schema))
        stream.count(message)
        if message.schema in (RAW_AUDIO, LABEL):
            self._look_inside(stream, message)

    def _look_inside(self, stream: _Stream, message: Stored) -> None:
        """What only the sample tells, not its place in the file."""
        try:
            sample = decode(message, 0)
        except LogError as error:
            self._damage.add(str(error))
            return
        if isinstance(sample, AudioChunk):
            stream.drift(sample)
        elif isinstance(sample, Label):
            self._labels(sample)


def _utc(wall_ns: int) -> str:
    try:
        return datetime.fromtimestamp(wall_ns / 1e9, timezone.utc).isoformat(
            timespec="milliseconds"
        )
    except (OverflowError, ValueError, OSError):
        return "at no date"


def _stream_line(name: str, line: StreamInfo) -> str:
    rate = f"{line.rate_hz:.2f} Hz" if line.rate_hz else "no rate"
    parts = [f"{line.samples} samples", rate, f"{line.first_s:.2f} to {line.last_s:.2f} s"]
    parts.append(f"{line.bytes / 2**20:.1f} MiB")
    parts += [f"{line.missing} missing"] if line.missing else []
    parts += [f"{line.restarts} restarts"] if line.restarts else []
    parts += [f"longest gap {line.longest_gap_s:.2f} s"]
    if line.schema == RAW_AUDIO:
        known = line.drift_ppm is not None
        parts.append(f"clock {line.drift_ppm:+.0f} ppm" if known else "clock drift unknown")
    return f"  {name} [{line.schema}]: {', '.join(parts)}"
