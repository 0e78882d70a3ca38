"""A JPEG is decoded only where it is what its header says."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pipeline.bus import jpeg, wire
from pipeline.error import WireError
from pipeline.sample import ColourOrder, Frame, UInt8Array


def picture() -> UInt8Array:
    """Left red, right blue, as BGR; a gradient downwards."""
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[:, :32, 2], pixels[:, 32:, 0] = 200, 200
    pixels[..., 1] = np.arange(48, dtype=np.uint8)[:, None]
    return pixels


def frame(order: ColourOrder = "bgr") -> Frame:
    return Frame(
        stream="camera/a", seq=7, t_capture_ns=1, t_publish_ns=2, pixels=picture(), order=order
    )


@pytest.mark.parametrize("order", ["bgr", "rgb"])
def test_a_picture_survives_the_wire_as_jpeg(order: ColourOrder) -> None:
    sent = frame(order)
    data = wire.encode_jpeg(sent, wire.stamp_of(sent, 11), quality=90)
    assert len(data) < sent.pixels.nbytes / 3
    got, epoch = wire.decode(data)
    assert isinstance(got, Frame)
    assert (epoch, got.seq, got.t_capture_ns, got.t_publish_ns) == (11, 7, 1, 2)
    assert (got.order, got.jpeg_quality) == (order, 90)
    assert not got.pixels.flags.writeable
    assert np.abs(got.pixels.astype(int) - sent.pixels).mean() < 4


def test_a_lower_quality_is_smaller() -> None:
    stamp = wire.Stamp(0, 0, 0)
    assert len(wire.encode_jpeg(frame(), stamp, 30)) < len(wire.encode_jpeg(frame(), stamp, 95))


def test_a_jpeg_of_another_size_is_refused_before_it_is_decoded() -> None:
    data = wire.encode_jpeg(frame(), wire.Stamp(0, 0, 0), 80)
    bomb = bytearray(data)
    at = bytes(bomb).index(b"\xff\xc0") + 5
    bomb[at : at + 4] = b"\xff\xff\xff\xff"
    with pytest.raises(WireError, match=r"a JPEG of \(65535, 65535\) pixels"):
        wire.decode(bytes(bomb))


def test_a_picture_that_is_too_large_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(ValueError, match="too large"):
        jpeg.decode(memoryview(b""), (60_000, 60_000), "bgr")


def test_a_picture_without_a_jpeg_form_is_named() -> None:
    wide = np.zeros((1, 70_000, 3), np.uint8)
    with pytest.raises(WireError, match="camera/a: "):
        wire.encode_jpeg(replace(frame(), pixels=wide), wire.Stamp(0, 0, 0), 80)


def test_an_orientation_in_the_file_turns_nothing() -> None:
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    data = jpeg.encode(picture(), "bgr", 90)
    turned = data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:]
    followed = cv2.imdecode(np.frombuffer(turned, np.uint8), cv2.IMREAD_COLOR)
    assert followed is not None
    assert followed.shape == (64, 48, 3)
    assert jpeg.decode(memoryview(turned), (48, 64), "bgr").shape == (48, 64, 3)


JPEG = jpeg.encode(picture(), "bgr", 50)


@given(st.integers(0, len(JPEG) - 1), st.integers(0, 255), st.integers(0, len(JPEG)))
def test_a_damaged_jpeg_is_refused_or_of_its_size(at: int, byte: int, size: int) -> None:
    data = bytearray(JPEG)
    data[at] = byte
    try:
        got = jpeg.decode(memoryview(bytes(data[:size])), (48, 64), "bgr")
    except ValueError:
        return
    assert got.shape == (48, 64, 3)
