"""Sample to message to sample: every type, every field, every bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from msgspec.structs import replace

from pipeline.bus import jpeg
from pipeline.log import schema
from pipeline.log.codec import MAX_SMALL_BYTES, Encoded, Stored, decode, encode
from pipeline.log.form import LogError
from pipeline.sample import Frame, Sample, TextEvent
from pipeline.stream import Form
from tests.pipeline.logged import FRAMES, HEADER, SAMPLES, assert_same, event, frame

OFFSET_NS = HEADER.wall_minus_monotonic_ns


def stored(message: Encoded) -> Stored:
    return Stored(
        stream=message.stream,
        schema=message.schema,
        sequence=message.seq & 0xFFFF_FFFF,
        log_time_ns=message.t_publish_ns + OFFSET_NS,
        data=b"".join(message.parts),
    )


@given(SAMPLES)
def test_a_sample_survives(sample: Sample) -> None:
    assert_same(sample, decode(stored(encode(sample, "lossless", OFFSET_NS)), OFFSET_NS))


@given(FRAMES)
def test_a_frame_survives_as_jpeg_but_for_its_pixels(sample: Frame) -> None:
    got = decode(stored(encode(sample, "jpeg", OFFSET_NS)), OFFSET_NS)
    assert isinstance(got, Frame)
    assert got.pixels.shape == sample.pixels.shape
    assert_same(replace(sample, pixels=got.pixels), got)


def test_a_jpeg_looks_alike() -> None:
    sent = frame(3, 0)
    message = encode(sent, "jpeg", OFFSET_NS)
    assert message.schema == schema.COMPRESSED_IMAGE
    got = decode(stored(message), OFFSET_NS)
    assert isinstance(got, Frame)
    assert np.abs(got.pixels.astype(int) - sent.pixels).mean() < 4


def test_pixels_are_not_copied() -> None:
    sent = frame(1, 0)
    view = encode(sent, "lossless", OFFSET_NS).parts[1]
    assert np.shares_memory(np.frombuffer(view, np.uint8), sent.pixels)


def test_strided_pixels_survive() -> None:
    sent = replace(frame(1, 0), pixels=frame(1, 0).pixels[:, ::2])
    assert_same(sent, decode(stored(encode(sent, "lossless", OFFSET_NS)), OFFSET_NS))


@pytest.mark.parametrize("form", ["none", "tokens"])
def test_a_form_that_keeps_no_picture_refuses_one(form: Form) -> None:
    with pytest.raises(LogError, match="camera/a: a Frame cannot be kept as"):
        encode(frame(1, 0), form, OFFSET_NS)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"text": "\ud800"}, "surrogates"),
        ({"text": "x" * MAX_SMALL_BYTES}, "more than"),
        ({"fields": {"a": object()}}, "object"),
    ],
)
def test_what_has_no_form_is_named(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(LogError, match=f"text/a: .*{why}"):
        encode(replace(event(1, 0), **changes), "lossless", OFFSET_NS)


def test_a_sample_of_another_kind_is_named() -> None:
    with pytest.raises(LogError, match="Sample has no form in a log"):
        encode(Sample(stream="a", seq=0, t_capture_ns=0, t_publish_ns=0), "lossless", 0)


def test_a_large_small_message_is_refused_before_it_is_parsed() -> None:
    many = b"\x12\x00" * MAX_SMALL_BYTES
    with pytest.raises(LogError, match="too large"):
        decode(replace(stored(encode(event(1, 0), "lossless", 0)), data=many), 0)


def test_pixels_of_another_size_are_refused() -> None:
    message = stored(encode(frame(1, 0), "lossless", 0))
    with pytest.raises(LogError, match="expected"):
        decode(replace(message, data=bytes(message.data) + b"\x32\x00"), 0)


def test_a_jpeg_that_is_too_large_is_refused_before_it_is_decoded() -> None:
    data = bytearray(jpeg.encode(frame(1, 0).pixels, "bgr", 50))
    at = bytes(data).index(b"\xff\xc0") + 5
    data[at : at + 4] = b"\xff\xff\xff\xff"
    message = schema.message_class(schema.COMPRESSED_IMAGE)(format="jpeg", data=bytes(data))
    bomb = Stored(
        stream="camera/a",
        schema=schema.COMPRESSED_IMAGE,
        sequence=0,
        log_time_ns=0,
        data=message.SerializeToString(),
    )
    with pytest.raises(LogError, match="too large"):
        decode(bomb, 0)


def test_a_text_without_fields_has_none() -> None:
    got = decode(stored(encode(event(1, 0), "lossless", OFFSET_NS)), OFFSET_NS)
    assert isinstance(got, TextEvent)
    assert got.fields == {}
