"""What a log is: the forms of a stream, the header, the bounds that writer and readers share."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from pipeline.config import Config
from pipeline.error import SensoriumError

HEADER_NAME = "sensorium"  # of the Metadata record that makes an MCAP file one of our logs
CHUNK_SPAN_NS = 250_000_000
CHUNK_BYTES = 16 * 2**20  # a chunk that has so much is closed
MAX_MESSAGE_BYTES = 128 * 2**20  # an 8K picture has 100 MB
MAX_CHUNK_BYTES = CHUNK_BYTES + MAX_MESSAGE_BYTES + 2**20


class LogError(SensoriumError):
    """A log cannot be written or read; one line says why and what to do."""


class LogHeader(Struct, frozen=True, kw_only=True):
    """What holds for the whole file. `config` is the checked configuration as JSON.

    `monotonic_ns` and `wall_ns` are one moment on both clocks, taken when the log was begun.
    All times in the file are monotonic times moved by their difference, so a wall clock that
    is stepped meanwhile changes nothing.
    """

    monotonic_ns: int
    wall_ns: int
    config: str = ""
    bundle_sha256: str = ""
    origin: str = "recorded"  # or: incident, imported, ...

    @property
    def wall_minus_monotonic_ns(self) -> int:
        return self.wall_ns - self.monotonic_ns


def header_values(header: LogHeader) -> dict[str, str]:
    """A header as the values of its Metadata record."""
    return {key: str(value) for key, value in msgspec.structs.asdict(header).items()}


def header_of(values: Mapping[str, str]) -> LogHeader:
    """The header in a Metadata record. Raises LogError."""
    try:
        return msgspec.convert(dict(values), LogHeader, strict=False)
    except msgspec.ValidationError as error:
        raise LogError(f"the log's header cannot be understood: {error}") from error


def config_of(header: LogHeader) -> Config | None:
    """The configuration that was recorded with, if any. Raises LogError."""
    if not header.config:
        return None
    try:
        return msgspec.json.decode(header.config, type=Config)
    except msgspec.MsgspecError as error:
        raise LogError(f"the log's configuration is not one of this version: {error}") from error
