"""Every sample survives the wire; nothing else gets through it."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.bus import wire
from pipeline.error import WireError
from pipeline.prediction import Prediction
from pipeline.sample import (
    MAX_TEXT_BYTES,
    AudioChunk,
    Frame,
    Health,
    Label,
    Reading,
    Sample,
    TextEvent,
    Tokens,
)

BASE: dict[str, Any] = {"seq": 7, "t_capture_ns": 1_000, "t_publish_ns": 2_000}
SAMPLES: list[Sample] = [
    Frame(**BASE, stream="camera/a", pixels=np.arange(24, dtype=np.uint8).reshape(2, 4, 3)),
    AudioChunk(
        **BASE, stream="microphone/a", pcm=np.array([[1, -2], [3, 4]], np.int16), rate_hz=16_000
    ),
    TextEvent(**BASE, stream="text/a", text="Tür offen", fields={"room": "hall", "n": 3}),
    TextEvent(**BASE, stream="text/b", text="Tür zu"),
    Reading(
        **BASE,
        stream="readings/a",
        values=np.array([21.5], np.float32),
        names=("temperature",),
        units=("degC",),
    ),
    Tokens(**BASE, stream="tokens/camera/a", of="camera/a", values=np.ones((2, 3), np.float32)),
    Label(**BASE, stream="label/truth", label="fall", t_until_ns=3_000),
    Health(**BASE, stream="health/x", process="x", pid=3, state="running", faults=["black"]),
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
        faults={"camera/a": ["black"]},
    ),
    Prediction(
        **BASE,
        stream="prediction/b",
        outputs={"near": [0.5, -0.25], "said": "a cat runs", "warmth": {"warmth": 21.5}},
        main="warmth",
        inputs={},
        ages_ns={},
        missing=[],
        weights={},
        backend={},
    ),
]
# Messages of version 3 as they stand on the wire; they must be readable for ever.
PREFIX = (
    "03" + "{kind}" + "{form}" + "00"  # version 3, the kind, the channels, no JPEG
    "0b00000000000000" + "0700000000000000"  # epoch 11, seq 7
    "e803000000000000" + "d007000000000000"  # captured at 1000 ns, published at 2000 ns
)
VECTOR = bytes.fromhex(
    "746578742f6100"
    + PREFIX.format(kind="00", form="00")
    + "0000000000000000"  # "text/a", NUL, msgpack
    "97a9746578746576656e74" + "a6746578742f61"  # an array: "textevent", "text/a",
    "07cd03e8cd07d0" + "a26869" + "81a16102"  # 7, 1000, 2000, "hi", {"a": 2}
)
PCM_VECTOR = bytes.fromhex(
    "6d6963726f70686f6e652f6100"
    + PREFIX.format(kind="04", form="02")  # "microphone/a", NUL, PCM
    + "02000000"
    + "803e0000"  # two channels at 16,000 Hz
    + "0100"
    + "feff"
    + "0300"
    + "0400"  # 1, -2, 3, 4
)
TEXT_VECTOR = bytes.fromhex(
    "746578742f6200"
    + PREFIX.format(kind="05", form="00")  # "text/b", NUL, text
    + "0700000000000000"
    + "54c3bc72207a75"  # seven bytes, "Tür zu"
)


def encoded(sample: Sample, epoch: int = 0) -> bytes:
    return wire.encode(sample, wire.stamp_of(sample, epoch))


def same(a: object, b: object) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    return a == b


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_a_sample_survives_the_wire(sample: Sample) -> None:
    got, epoch = wire.decode(encoded(sample, 11))
    assert epoch == 11
    for field in sample.__struct_fields__:
        assert same(getattr(sample, field), getattr(got, field)), field


def test_the_fixed_vector() -> None:
    sample = TextEvent(**BASE, stream="text/a", text="hi", fields={"a": 2})
    assert encoded(sample, 11) == VECTOR
    assert wire.decode(VECTOR) == (sample, 11)


def test_the_fixed_vector_of_sound() -> None:
    assert encoded(SAMPLES[1], 11) == PCM_VECTOR


def test_the_fixed_vector_of_a_text_alone() -> None:
    assert encoded(SAMPLES[3], 11) == TEXT_VECTOR


@pytest.mark.parametrize("vector", [VECTOR, PCM_VECTOR])
def test_version_2_is_read_too(vector: bytes) -> None:
    at = vector.index(b"\0") + 1
    of_version_2 = vector[:at] + b"\2" + vector[at + 1 :]
    (old, _), (new, _) = wire.decode(of_version_2), wire.decode(vector)
    for field in new.__struct_fields__:
        assert same(getattr(old, field), getattr(new, field)), field


def test_decoded_arrays_are_read_only_views() -> None:
    frame = wire.decode(encoded(SAMPLES[0]))[0]
    assert isinstance(frame, Frame)
    with pytest.raises(ValueError, match="read-only"):
        frame.pixels[0, 0, 0] = 1


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_no_truncated_message_gets_through(sample: Sample) -> None:
    data = encoded(sample)
    for size in range(len(data)):
        with pytest.raises(WireError):
            wire.decode(data[:size])


@given(st.binary(max_size=400))
def test_random_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        wire.decode(data)


@given(st.sampled_from(SAMPLES), st.integers(0, 10_000), st.integers(0, 255))
def test_a_damaged_message_is_refused_or_whole(sample: Sample, at: int, byte: int) -> None:
    data = bytearray(encoded(sample))
    data[at % len(data)] = byte
    with contextlib.suppress(WireError):
        assert isinstance(wire.decode(bytes(data))[0], Sample)


def test_another_version_is_named() -> None:
    data = bytearray(VECTOR)
    data[len("text/a") + 1] = 9
    with pytest.raises(WireError, match="version 9"):
        wire.decode(bytes(data))


@pytest.mark.parametrize(("fields", "why"), [({}, "65537 bytes of text"), ({"a": 2}, "<= 65536")])
def test_an_oversized_text_is_refused(fields: dict[str, Any], why: str) -> None:
    text = "x" * (MAX_TEXT_BYTES + 1)
    with pytest.raises(WireError, match=why):
        wire.decode(encoded(TextEvent(**BASE, stream="text/a", text=text, fields=fields)))


def test_a_text_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(WireError, match="utf-8"):
        wire.decode(TEXT_VECTOR[:-1] + b"\xff")


def test_msgpack_that_is_too_long_is_refused_before_it_is_read() -> None:
    with pytest.raises(WireError, match="of msgpack: more than"):
        wire.decode(VECTOR + bytes(wire.MAX_MSGPACK_BYTES))


def test_an_empty_frame_is_refused() -> None:
    frame = Frame(**BASE, stream="camera/a", pixels=np.zeros((0, 4, 3), np.uint8))
    with pytest.raises(WireError, match="0 bytes for a picture of 4 x 0"):
        wire.decode(encoded(frame))


def test_a_picture_whose_rows_lie_apart_is_sent_whole() -> None:
    pixels = np.arange(96, dtype=np.uint8).reshape(4, 8, 3)[:, ::2]
    got, _ = wire.decode(encoded(Frame(**BASE, stream="camera/a", pixels=pixels)))
    assert isinstance(got, Frame)
    assert np.array_equal(got.pixels, pixels)


def test_one_topic_does_not_match_another_that_begins_alike() -> None:
    assert not wire.topic("camera/10").startswith(wire.topic("camera/1"))


def test_fields_that_are_nested_without_end_are_refused() -> None:
    nested = b"\x91" * 50_000 + b"\xc0"
    at = VECTOR.index(b"\x81\xa1a")
    with pytest.raises(WireError):
        wire.decode(VECTOR[: at + 3] + nested)
