"""Samples as bytes: stream, NUL, version, place, two lengths, header, payload, in one part.

The NUL ends the topic, so that "camera/1" does not match "camera/10". The header is msgpack,
typed and checked; pixels, sound and numbers follow it as they lie in memory, little-endian. Or
they lie in the publisher's ring, and the message says where.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec
import numpy as np
from msgspec import Struct

from pipeline import jpeg
from pipeline.error import WireError
from pipeline.prediction import Prediction
from pipeline.ring import Place
from pipeline.sample import (
    MAX_TEXT_BYTES,
    AudioChunk,
    ColourOrder,
    Frame,
    Health,
    Reading,
    Sample,
    TextEvent,
    always,
)

VERSION = 1
MAX_MESSAGE_BYTES = 128 * 2**20  # an 8K picture has 100 MB
MAX_HEADER_BYTES = 256 * 2**10
MAX_NAME_BYTES = 256
# Version, whether the payload is a place in the ring, bytes of the header, bytes of the payload.
_PREFIX = struct.Struct("<BBII")
_PLACE = struct.Struct("<QQQQ")

Buffer: TypeAlias = "bytes | memoryview"
Fetch: TypeAlias = "Callable[[Place], tuple[memoryview, Callable[[], bool]]]"
Stamp: TypeAlias = tuple[int, int, int, int]  # epoch, seq, t_capture_ns, t_publish_ns


class _Head(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """`epoch` tells one run of a publisher from the next, whose `seq` starts again."""

    epoch: int
    seq: int
    t_capture_ns: int
    t_publish_ns: int


class _FrameHead(_Head, tag="frame", frozen=True, array_like=True, forbid_unknown_fields=True):
    height_px: int
    width_px: int
    order: ColourOrder
    encoding: Literal["raw", "jpeg"] = "raw"
    quality: int = 0


class _AudioHead(_Head, tag="audio", frozen=True, array_like=True, forbid_unknown_fields=True):
    channels: int
    rate_hz: int


class _TextHead(_Head, tag="text", frozen=True, array_like=True, forbid_unknown_fields=True):
    fields: dict[str, Any]


class _ReadingHead(_Head, tag="reading", frozen=True, array_like=True, forbid_unknown_fields=True):
    names: tuple[str, ...]
    units: tuple[str, ...]


class _HealthHead(_Head, tag="health", frozen=True, array_like=True, forbid_unknown_fields=True):
    process: str
    pid: int
    state: str
    counters: dict[str, int]
    last_error: str


class _PredictionHead(
    _Head, tag="prediction", frozen=True, array_like=True, forbid_unknown_fields=True
):
    outputs: dict[str, dict[str, float]]
    inputs: dict[str, list[tuple[int, int]]]
    ages_ns: dict[str, int]
    missing: list[str]
    weights: dict[str, float]
    backend: dict[str, str]
    stages_ns: dict[str, tuple[int, ...]]
    t_emit_ns: int


_AnyHead: TypeAlias = (
    _FrameHead | _AudioHead | _TextHead | _ReadingHead | _HealthHead | _PredictionHead
)
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_AnyHead)


class Payload(NamedTuple):
    """The bytes of a payload; in a ring, `intact` tells after use whether they were whole."""

    view: memoryview
    intact: Callable[[], bool] = always


class Message(NamedTuple):
    """A decoded message; arrays of its sample are views of the bytes it came from."""

    sample: Sample
    epoch: int


def topic(stream: str) -> bytes:
    """What to subscribe to for one stream."""
    return stream.encode() + b"\0"


def encode(sample: Sample, epoch: int = 0) -> bytes:
    """A sample as one message."""
    stamp = (epoch, sample.seq, sample.t_capture_ns, sample.t_publish_ns)
    return join(sample.stream, *parts(sample, stamp))


def encode_jpeg(frame: Frame, epoch: int, quality: int) -> bytes:
    """A picture as one message, compressed. Raises WireError where it has no JPEG form."""
    height, width, _ = frame.pixels.shape
    try:
        payload = jpeg.encode(frame.pixels, frame.order, quality)
    except ValueError as error:
        raise WireError(f"{frame.stream}: {error}") from error
    times = (frame.t_capture_ns, frame.t_publish_ns)
    head = _FrameHead(epoch, frame.seq, *times, height, width, frame.order, "jpeg", quality)
    return join(frame.stream, _encoder.encode(head), payload)


def parts(sample: Sample, stamp: Stamp) -> tuple[bytes, Buffer]:
    """The header and the payload, not yet copied; the stamp takes the place of the sample's own."""
    head, payload = _split(sample, stamp)
    return _encoder.encode(head), payload


def join(stream: str, header: bytes, payload: Buffer | Place) -> bytes:
    """A message of its parts, with the payload in it or with the place where it lies."""
    in_ring = isinstance(payload, Place)
    if isinstance(payload, Place):
        payload = _PLACE.pack(payload.arena, payload.slot, payload.generation, payload.size_bytes)
    prefix = _PREFIX.pack(VERSION, in_ring, len(header), len(payload))
    return b"".join((topic(stream), prefix, header, payload))


def no_ring(_: Place) -> tuple[memoryview, Callable[[], bool]]:
    """The `fetch` of who has no ring in reach."""
    raise WireError("a payload in shared memory, which nobody can reach here")


def decode(data: bytes, fetch: Fetch = no_ring) -> Message:
    """The sample in a message, checked; `fetch` gets a payload that lies in a ring.

    Raises WireError, and whatever `fetch` raises.
    """
    if len(data) > MAX_MESSAGE_BYTES:
        raise WireError(f"{len(data)} bytes: more than {MAX_MESSAGE_BYTES}")
    stream, at = _stream(data)
    if len(data) < at + _PREFIX.size:
        raise WireError("truncated before the header")
    version, in_ring, header_bytes, payload_bytes = _PREFIX.unpack_from(data, at)
    if version != VERSION:
        raise WireError(f"wire version {version}: this program reads version {VERSION}")
    at += _PREFIX.size
    if header_bytes > MAX_HEADER_BYTES or len(data) != at + header_bytes + payload_bytes:
        raise WireError(f"{stream}: truncated, or a header that is too long")
    try:
        head = _decoder.decode(data[at : at + header_bytes])
        payload = Payload(memoryview(data)[at + header_bytes :])
        if in_ring and not isinstance(head, _FrameHead):
            raise ValueError("only pictures may lie in shared memory")
        if in_ring:
            payload = Payload(*fetch(Place(*_PLACE.unpack(payload.view))))
        return Message(_sample(stream, head, payload), head.epoch)
    except (msgspec.MsgspecError, ValueError, struct.error, RecursionError) as error:
        raise WireError(f"{stream}: {error}") from error


def _stream(data: bytes) -> tuple[str, int]:
    """The stream's name and the offset behind its NUL."""
    at = data.find(b"\0", 0, MAX_NAME_BYTES)
    if at < 0:
        raise WireError("no stream name in front")
    try:
        return data[:at].decode(), at + 1
    except UnicodeDecodeError as error:
        raise WireError("a stream name that is not UTF-8") from error


def _split(sample: Sample, base: Stamp) -> tuple[_AnyHead, Buffer]:
    match sample:
        case Frame():
            height, width, _ = sample.pixels.shape
            return _FrameHead(*base, height, width, sample.order), _bytes(sample.pixels)
        case AudioChunk():
            channels = sample.pcm.shape[1]
            return _AudioHead(*base, channels, sample.rate_hz), _bytes(sample.pcm)
        case TextEvent():
            return _TextHead(*base, sample.fields), sample.text.encode()
        case Reading():
            return _ReadingHead(*base, sample.names, sample.units), _bytes(sample.values)
        case Health():
            return _HealthHead(*base, *_rest(sample, _HealthHead)), b""
        case Prediction():
            return _PredictionHead(*base, *_rest(sample, _PredictionHead)), b""
    raise TypeError(f"{type(sample).__name__} has no wire form")


def _rest(sample: Sample, kind: type[_Head]) -> list[Any]:
    """The fields that a header has beyond the base, which the sample has under the same names."""
    return [getattr(sample, name) for name in kind.__struct_fields__[4:]]


def _bytes(array: np.ndarray[Any, Any]) -> memoryview:
    if array.size and array.flags.c_contiguous:
        return array.data.cast("B")
    return memoryview(array.tobytes())


def _sample(stream: str, head: _AnyHead, found: Payload) -> Sample:
    payload = found.view
    base: dict[str, Any] = {
        "stream": stream,
        "seq": head.seq,
        "t_capture_ns": head.t_capture_ns,
        "t_publish_ns": head.t_publish_ns,
    }
    match head:
        case _FrameHead():
            pixels = _pixels(head, payload)
            return Frame(**base, pixels=pixels, order=head.order, intact=found.intact)
        case _AudioHead():
            return AudioChunk(**base, pcm=_pcm(head, payload), rate_hz=head.rate_hz)
        case _TextHead():
            if len(payload) > MAX_TEXT_BYTES:
                raise ValueError(f"a text of {len(payload)} bytes: more than {MAX_TEXT_BYTES}")
            return TextEvent(**base, text=str(payload, "utf-8"), fields=head.fields)
        case _ReadingHead():
            return Reading(
                **base, values=_values(head, payload), names=head.names, units=head.units
            )
    if payload:
        raise ValueError("bytes behind the header")
    rest = {name: getattr(head, name) for name in head.__struct_fields__[4:]}
    return (Health if isinstance(head, _HealthHead) else Prediction)(**base, **rest)


def _pixels(head: _FrameHead, payload: memoryview) -> np.ndarray[Any, np.dtype[np.uint8]]:
    if head.height_px < 1 or head.width_px < 1:
        raise ValueError("an empty frame")
    if head.encoding == "jpeg":
        return jpeg.decode(payload, (head.height_px, head.width_px), head.order)
    return _array(payload, np.uint8, (head.height_px, head.width_px, 3))


def _pcm(head: _AudioHead, payload: memoryview) -> np.ndarray[Any, np.dtype[np.int16]]:
    if head.channels < 1 or head.rate_hz < 1 or not payload:
        raise ValueError("sound without samples, channels or rate")
    return _array(payload, np.int16, (len(payload) // (2 * head.channels), head.channels))


def _values(head: _ReadingHead, payload: memoryview) -> np.ndarray[Any, np.dtype[np.float32]]:
    if not head.names or len(head.names) != len(head.units):
        raise ValueError("readings need a name and a unit each")
    return _array(payload, np.float32, (len(head.names),))


def _array(payload: memoryview, dtype: Any, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """A read-only view of the payload. Raises ValueError where the sizes differ."""
    expected = math.prod(shape) * np.dtype(dtype).itemsize
    if len(payload) != expected:
        raise ValueError(f"a payload of {len(payload)} bytes, {expected} expected")
    array: np.ndarray[Any, Any] = np.ndarray(shape, dtype, payload)
    return array
