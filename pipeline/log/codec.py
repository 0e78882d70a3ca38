"""Samples as the messages of a log, and back. Lossless, but for pictures kept as JPEG.

The small members of a message go through protobuf; its one large member, the last, is appended
as it lies in memory, so that a picture is copied at most once.
"""

from __future__ import annotations

from typing import Any

import msgspec
from google.protobuf.message import DecodeError
from msgspec import Struct

from pipeline.log.form import MAX_MESSAGE_BYTES, LogError
from pipeline.log.pack import JPEG_QUALITY, Buffer, Members, pack
from pipeline.log.schema import DATA_FIELD, SCHEMAS, message_class
from pipeline.log.unpack import unpack
from pipeline.sample import Sample, Tokens
from pipeline.stream import Form

# A small message that is larger than this is hostile: parsed, it takes fifty times its size.
MAX_SMALL_BYTES = 2**20
_SECOND_NS = 1_000_000_000
_LENGTH_DELIMITED = 2  # the wire type of bytes in protobuf
_SEQ_BITS = 32  # of an MCAP sequence number


class Encoded(Struct, frozen=True, kw_only=True):
    """A message for a log: its bytes are the `parts` in order. Times are monotonic."""

    stream: str
    schema: str
    seq: int
    t_publish_ns: int
    parts: tuple[Buffer, ...]


class Stored(Struct, frozen=True, kw_only=True):
    """A message found in a log: `log_time_ns` wall-clock, `sequence` of 32 bits."""

    stream: str
    schema: str
    sequence: int
    log_time_ns: int
    data: Buffer


def encode(
    sample: Sample, form: Form, wall_minus_monotonic_ns: int, quality: int = JPEG_QUALITY
) -> Encoded:
    """A sample as a message; large arrays are not copied. Raises LogError."""
    if form == "none" or (form == "tokens" and not isinstance(sample, Tokens)):
        raise LogError(f"{sample.stream}: a {type(sample).__name__} cannot be kept as {form!r}")
    try:
        kind, members, data = pack(sample, form, wall_minus_monotonic_ns, quality)
        message = message_class(kind)(**members)
        _set_time(message, sample.t_capture_ns + wall_minus_monotonic_ns)
        message.sensorium_seq_high = sample.seq >> _SEQ_BITS
        head = message.SerializeToString()
    except (ValueError, TypeError, msgspec.MsgspecError) as error:
        raise LogError(f"{sample.stream}: cannot be stored: {error}") from error
    if kind in DATA_FIELD:
        head += _tag(DATA_FIELD[kind], len(data))
    parts = (head, data) if len(data) else (head,)
    limit_bytes = MAX_MESSAGE_BYTES if kind in DATA_FIELD else MAX_SMALL_BYTES
    if len(head) + len(data) > limit_bytes:
        raise LogError(f"{sample.stream}: {len(head) + len(data)} bytes are more than a log takes")
    return Encoded(
        stream=sample.stream,
        schema=kind,
        seq=sample.seq,
        t_publish_ns=sample.t_publish_ns,
        parts=parts,
    )


def decode(stored: Stored, wall_minus_monotonic_ns: int) -> Sample:
    """The sample in a message, with the times of the recording's clock. Raises LogError."""
    if stored.schema not in SCHEMAS:
        raise LogError(f"{stored.stream}: no sample has the schema {stored.schema!r}")
    limit_bytes = MAX_MESSAGE_BYTES if stored.schema in DATA_FIELD else MAX_SMALL_BYTES
    if len(stored.data) > limit_bytes:
        raise LogError(f"{stored.stream}: a message of {len(stored.data)} bytes is too large")
    try:
        message = message_class(stored.schema)()
        message.ParseFromString(stored.data)
        base: Members = {
            "stream": stored.stream,
            "seq": stored.sequence | message.sensorium_seq_high << _SEQ_BITS,
            "t_capture_ns": _time(message) - wall_minus_monotonic_ns,
            "t_publish_ns": stored.log_time_ns - wall_minus_monotonic_ns,
        }
        return unpack(stored.schema, message, base, wall_minus_monotonic_ns)
    except (ValueError, DecodeError, msgspec.MsgspecError, RecursionError) as error:
        raise LogError(f"{stored.stream}: a message that cannot be read: {error}") from error


def _set_time(message: Any, wall_ns: int) -> None:
    message.timestamp.seconds, message.timestamp.nanos = divmod(wall_ns, _SECOND_NS)


def _time(message: Any) -> int:
    return int(message.timestamp.seconds) * _SECOND_NS + int(message.timestamp.nanos)


def _tag(number: int, size: int) -> bytes:
    """What stands in front of a bytes field: its number and the size as a varint."""
    tag = bytearray([number << 3 | _LENGTH_DELIMITED])
    while size > 0x7F:
        tag.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*tag, size])
