"""Samples as bytes: stream, NUL, prefix, body, in one part.

The NUL ends the topic, so that "camera/1" does not match "camera/10". The prefix holds what every
sample has, and what pictures and sound have besides; their body is the array as it lies in memory,
a JPEG, or the place of the array in the publisher's ring. That of a text alone is its UTF-8. All
other samples are msgpack, typed and checked. Numbers are little-endian.

Between two messages everything goes cold: at 30 Hz each call here costs ten times what it does in
a loop. So the way of a sample is short, not divided.
"""

from __future__ import annotations

import math
import operator
import struct
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import msgspec
import numpy as np
from msgspec.structs import force_setattr
from numpy import int16, ndarray, uint8

from pipeline.bus import jpeg
from pipeline.bus.ring import Slot
from pipeline.error import WireError
from pipeline.event.event import Event
from pipeline.prediction import Prediction
from pipeline.sample import (
    MAX_TEXT_BYTES,
    OWN,
    AudioChunk,
    Float32Array,
    Frame,
    Health,
    Label,
    Reading,
    Sample,
    TextEvent,
    Tokens,
)

VERSION = 3
OLDEST_VERSION = 2  # that is read: its texts are all msgpack
MAX_MESSAGE_BYTES = 128 * 2**20  # an 8K picture has 100 MB
MAX_MSGPACK_BYTES = 512 * 2**10
MAX_NAME_BYTES = 256
# Version, kind of the body, whether a picture is RGB or the channels of sound, JPEG quality; epoch,
# seq, capture and publish time in ns; height and width of a picture, samples and rate in Hz,
# or the bytes of a text.
_PREFIX = struct.Struct("<BBBBQQqqII")
_PLACE = struct.Struct("<QQQQ")  # arena, slot, generation, bytes
MSGPACK, PIXELS, IN_RING, JPEG, PCM, TEXT = range(6)

Other: TypeAlias = TextEvent | Reading | Health | Prediction | Tokens | Label | Event
Fetch: TypeAlias = "Callable[[int, int, int, int], Slot]"


class Stamp(NamedTuple):
    """What a publisher adds. `epoch` tells its runs apart: each starts again with `seq` 0."""

    epoch: int
    seq: int
    t_publish_ns: int


def stamp_of(sample: Sample, epoch: int = 0) -> Stamp:
    """The stamp that a sample bears, for who passes it on."""
    return Stamp(epoch, sample.seq, sample.t_publish_ns)


def topic(stream: str, *, observer: bool = False) -> bytes:
    """What to subscribe to for one stream.

    An `observer` subscribes to the first byte behind the topic too. It is sent the same, and a
    publisher can tell it from whom the stream is for.
    """
    return stream.encode() + (bytes([0, VERSION]) if observer else b"\0")


def encode(sample: Sample, stamp: tuple[int, int, int]) -> bytes:
    """A sample as one message; the Stamp takes the place of its own seq and time."""
    epoch, seq, t_ns = stamp
    at_ns, kind, form, size = sample.t_capture_ns, MSGPACK, 0, (0, 0)
    body: Any
    if isinstance(sample, Frame):
        kind, form, size = PIXELS, sample.order == "rgb", sample.pixels.shape
        body = sample.pixels
    elif isinstance(sample, AudioChunk):
        kind, (n_samples, form), body = PCM, sample.pcm.shape, sample.pcm
        size = n_samples, sample.rate_hz
    elif isinstance(sample, TextEvent) and not sample.fields:
        body = sample.text.encode()
        kind, size = TEXT, (len(body), 0)
    else:
        body = _encoder.encode(sample)
    prefix = _PREFIX.pack(VERSION, kind, form, 0, epoch, seq, at_ns, t_ns, size[0], size[1])
    try:
        return b"".join((sample.stream.encode(), b"\0", prefix, body))
    except TypeError:  # an array that does not lie in one piece
        return b"".join((sample.stream.encode(), b"\0", prefix, body.tobytes()))


def encode_place(frame: Frame, stamp: tuple[int, int, int], slot: Slot) -> bytes:
    """A picture whose pixels lie in a slot of a ring as one message, which says where."""
    epoch, seq, t_ns = stamp
    height, width, _ = frame.pixels.shape
    rgb, at_ns = frame.order == "rgb", frame.t_capture_ns
    prefix = _PREFIX.pack(VERSION, IN_RING, rgb, 0, epoch, seq, at_ns, t_ns, height, width)
    place = _PLACE.pack(slot.arena.id, slot.index, slot.generation, slot.size_bytes)
    return b"".join((frame.stream.encode(), b"\0", prefix, place))


def encode_jpeg(frame: Frame, stamp: tuple[int, int, int], quality: int) -> bytes:
    """A picture as one message, compressed. Raises WireError where it has no JPEG form."""
    epoch, seq, t_ns = stamp
    height, width, _ = frame.pixels.shape
    try:
        body = jpeg.encode(frame.pixels, frame.order, quality)
    except ValueError as error:
        raise WireError(f"{frame.stream}: {error}") from error
    rgb, t_capture_ns = frame.order == "rgb", frame.t_capture_ns
    prefix = _PREFIX.pack(
        VERSION, JPEG, rgb, quality, epoch, seq, t_capture_ns, t_ns, height, width
    )
    return topic(frame.stream) + prefix + body


class Decoder:
    """Reads the messages of one stream; `fetch` gets a payload in a ring, if one is in reach.

    Arrays of a sample are read-only views of the bytes it came from. `epoch` is that of the last.
    """

    def __init__(self, stream: str, fetch: Fetch | None = None) -> None:
        self._stream, self._fetch = stream, fetch
        self._at = len(topic(stream))
        self.epoch = 0

    def decode(self, data: bytes) -> Sample:
        """The sample in a message of this stream. Raises WireError, and what `fetch` raises."""
        at = self._at
        try:
            prefix = _PREFIX.unpack_from(data, at)
            kind, self.epoch = prefix[1], prefix[4]
            if not OLDEST_VERSION <= prefix[0] <= VERSION:
                raise WireError(f"wire version {prefix[0]}: this program reads version {VERSION}")
            if kind == PCM:
                return self._chunk(prefix, data)
            if kind == TEXT:
                return self._text(prefix, data[at + _PREFIX.size :])
            if kind == MSGPACK:
                return self._other(prefix, data[at + _PREFIX.size :])
            return self._frame(prefix, data)
        except (msgspec.MsgspecError, ValueError, struct.error, RecursionError) as error:
            raise WireError(f"{self._stream}: {error}") from error

    def _frame(self, prefix: tuple[int, ...], data: bytes) -> Frame:
        _, kind, rgb, quality, _, seq, t_capture_ns, t_publish_ns, height, width = prefix
        at, shape, memory = self._at + _PREFIX.size, (height, width, 3), OWN
        size_bytes = height * width * 3
        pixels: ndarray[Any, Any]
        if kind == IN_RING:
            if self._fetch is None:
                raise WireError("a payload in shared memory, which nobody can reach here")
            arena, slot, generation, found_bytes = _PLACE.unpack_from(data, at)
            if not size_bytes or found_bytes != size_bytes:
                raise ValueError(f"{found_bytes} bytes for a picture of {width} x {height}")
            memory = self._fetch(arena, slot, generation, size_bytes)
            pixels = memory.array(shape)
        elif kind == JPEG:
            pixels = jpeg.decode(memoryview(data)[at:], (height, width), "rgb" if rgb else "bgr")
        elif kind != PIXELS or not size_bytes or len(data) - at != size_bytes:
            raise ValueError(f"{len(data) - at} bytes for a picture of {width} x {height}")
        else:
            pixels = ndarray(shape, uint8, data, at)
        return Frame(
            stream=self._stream,
            seq=seq,
            t_capture_ns=t_capture_ns,
            t_publish_ns=t_publish_ns,
            pixels=pixels,
            order="rgb" if rgb else "bgr",
            memory=memory,
            jpeg_quality=quality,
        )

    def _chunk(self, prefix: tuple[int, ...], data: bytes) -> AudioChunk:
        _, _, channels, _, _, seq, t_capture_ns, t_publish_ns, n_samples, rate_hz = prefix
        at = self._at + _PREFIX.size
        if not rate_hz or not n_samples * channels or len(data) - at != 2 * n_samples * channels:
            raise ValueError(f"{len(data) - at} bytes of sound: {n_samples} x {channels}")
        return AudioChunk(
            stream=self._stream,
            seq=seq,
            t_capture_ns=t_capture_ns,
            t_publish_ns=t_publish_ns,
            pcm=ndarray((n_samples, channels), int16, data, at),
            rate_hz=rate_hz,
        )

    def _text(self, prefix: tuple[int, ...], body: bytes) -> TextEvent:
        size = prefix[8]
        if len(body) != size or size > MAX_TEXT_BYTES:
            raise ValueError(f"{len(body)} bytes of text: not {size}, or over {MAX_TEXT_BYTES}")
        return TextEvent(
            stream=self._stream,
            seq=prefix[5],
            t_capture_ns=prefix[6],
            t_publish_ns=prefix[7],
            text=body.decode(),
        )

    def _other(self, prefix: tuple[int, ...], body: bytes) -> Sample:
        if len(body) > MAX_MSGPACK_BYTES:
            raise ValueError(f"{len(body)} bytes of msgpack: more than {MAX_MSGPACK_BYTES}")
        sample: Sample = _decoder.decode(body)
        if sample.stream != self._stream:
            raise ValueError(f"a sample of {sample.stream}")
        force_setattr(sample, "seq", prefix[5])
        force_setattr(sample, "t_publish_ns", prefix[7])
        return sample


def decode(data: bytes) -> tuple[Sample, int]:
    """Sample and epoch of a message of any stream that needs no ring. Raises WireError."""
    end = data.find(b"\0", 0, MAX_NAME_BYTES)
    try:
        stream = data[: max(end, 0)].decode()
    except UnicodeDecodeError as error:
        raise WireError("a stream name that is not UTF-8") from error
    if not stream:
        raise WireError("no stream name in front")
    decoder = Decoder(stream)
    return decoder.decode(data), decoder.epoch


def _array_out(value: Any) -> Any:
    """An array inside msgpack: its shape and its bytes."""
    if isinstance(value, ndarray) and value.dtype == np.float32:
        return value.shape, value.tobytes()
    raise NotImplementedError(f"{type(value).__name__} has no wire form")


def _array_in(_: Any, value: Any) -> Float32Array:
    """The array of a shape and bytes, read-only. Raises ValueError where they differ."""
    shape, body = value
    if len(shape) > 2 or math.prod(map(operator.index, shape)) * 4 != len(body):
        raise ValueError(f"{len(body)} bytes for an array of {shape}")
    array: Float32Array = np.frombuffer(body, np.float32).reshape(shape)
    return array


_encoder = msgspec.msgpack.Encoder(enc_hook=_array_out)
_decoder = msgspec.msgpack.Decoder(Other, dec_hook=_array_in)
