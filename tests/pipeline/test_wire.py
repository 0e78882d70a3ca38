"""Every sample survives the wire; nothing else gets through it."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import wire
from pipeline.error import WireError
from pipeline.prediction import Prediction
from pipeline.sample import AudioChunk, Frame, Health, Reading, Sample, TextEvent

BASE: dict[str, Any] = {"seq": 7, "t_capture_ns": 1_000, "t_publish_ns": 2_000}
SAMPLES: list[Sample] = [
    Frame(**BASE, stream="camera/a", pixels=np.arange(24, dtype=np.uint8).reshape(2, 4, 3)),
    AudioChunk(
        **BASE, stream="microphone/a", pcm=np.array([[1, -2], [3, 4]], np.int16), rate_hz=16_000
    ),
    TextEvent(**BASE, stream="text/a", text="Tür offen", fields={"room": "hall", "n": 3}),
    Reading(
        **BASE,
        stream="readings/a",
        values=np.array([21.5], np.float32),
        names=("temperature",),
        units=("degC",),
    ),
    Health(**BASE, stream="health/x", process="x", pid=3, state="running", counters={"n": 1}),
    Prediction(
        **BASE,
        stream="prediction/a",
        outputs={"situation": {"quiet": 0.75, "fall": 0.25}},
        inputs={"camera/a": [(7, 1_000)]},
        ages_ns={"camera/a": 5},
        missing=["text/a"],
        weights={"camera/a": 1.0},
        backend={"requested": "onnxruntime", "active": "onnxruntime"},
        stages_ns={"camera/a": (1, 2, 3)},
        t_emit_ns=9,
    ),
]
# A message of version 1 as it stands on the wire; it must be readable for ever.
VECTOR = bytes.fromhex(
    "746578742f6100"  # "text/a", NUL
    "01" + "00" + "12000000" + "02000000"  # version 1, inline, a header of 18 bytes, a payload of 2
    "96a474657874" + "0b07cd03e8cd07d0" + "81a16102"  # ["text", 11, 7, 1000, 2000, {"a": 2}]
    "6869"  # "hi"
)


def same(a: object, b: object) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    return a == b


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_a_sample_survives_the_wire(sample: Sample) -> None:
    message = wire.decode(wire.encode(sample, epoch=11))
    assert message.epoch == 11
    for field in sample.__struct_fields__:
        assert same(getattr(sample, field), getattr(message.sample, field)), field


def test_the_fixed_vector() -> None:
    sample = TextEvent(**BASE, stream="text/a", text="hi", fields={"a": 2})
    assert wire.encode(sample, epoch=11) == VECTOR
    assert wire.decode(VECTOR).sample == sample


def test_decoded_arrays_are_read_only_views() -> None:
    frame = wire.decode(wire.encode(SAMPLES[0])).sample
    assert isinstance(frame, Frame)
    with pytest.raises(ValueError, match="read-only"):
        frame.pixels[0, 0, 0] = 1


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_no_truncated_message_gets_through(sample: Sample) -> None:
    data = wire.encode(sample)
    for size in range(len(data)):
        with pytest.raises(WireError):
            wire.decode(data[:size])


@given(st.binary(max_size=400))
def test_random_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        wire.decode(data)


@given(st.sampled_from(SAMPLES), st.integers(0, 10_000), st.integers(0, 255))
def test_a_damaged_message_is_refused_or_whole(sample: Sample, at: int, byte: int) -> None:
    data = bytearray(wire.encode(sample))
    data[at % len(data)] = byte
    with contextlib.suppress(WireError):
        assert isinstance(wire.decode(bytes(data)).sample, Sample)


def test_another_version_is_named() -> None:
    data = bytearray(VECTOR)
    data[len("text/a") + 1] = 9
    with pytest.raises(WireError, match="version 9"):
        wire.decode(bytes(data))


def test_an_oversized_text_is_refused() -> None:
    text = "x" * (wire.MAX_TEXT_BYTES + 1)
    with pytest.raises(WireError, match="more than"):
        wire.decode(wire.encode(TextEvent(**BASE, stream="text/a", text=text)))


def test_an_oversized_header_is_refused_before_it_is_read() -> None:
    with pytest.raises(WireError, match="header"):
        wire.decode(b"text/a\0\x01\0\xff\xff\xff\xff\0\0\0\0" + b"x" * 100)


def test_an_empty_frame_is_refused() -> None:
    frame = Frame(**BASE, stream="camera/a", pixels=np.zeros((0, 4, 3), np.uint8))
    with pytest.raises(WireError, match="empty frame"):
        wire.decode(wire.encode(frame))


def test_one_topic_does_not_match_another_that_begins_alike() -> None:
    assert not wire.topic("camera/10").startswith(wire.topic("camera/1"))


def test_fields_that_are_nested_without_end_are_refused() -> None:
    nested = b"\x91" * 50_000 + b"\xc0"
    header = b"\x96\xa4text\x00\x00\x00\x00\x81\xa1a" + nested
    prefix = b"text/a\0\x01\0" + len(header).to_bytes(4, "little") + bytes(4)
    with pytest.raises(WireError):
        wire.decode(prefix + header)
