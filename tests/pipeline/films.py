"""Films for the tests: a flash and a click at the same times, made with PyAV."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from pipeline.sample import AudioChunk, Frame, Sample

SIZE_PX = (48, 64)  # height, width
MS = Fraction(1, 1000)
SRT = """1
00:00:00,500 --> 00:00:01,500
<i>hello</i> there

2
00:00:02,000 --> 00:00:02,500
line a
line b
"""


def steady_ms(seconds: float, rate_hz: float = 25.0) -> list[int]:
    """The times of pictures at a steady rate, in ms."""
    return [round(1000 * n / rate_hz) for n in range(round(seconds * rate_hz))]


def make_film(
    path: Path,
    pictures_ms: Sequence[int],
    *,
    events_s: Sequence[float] = (),
    sound_hz: int = 44_100,
    codecs: tuple[str, str] = ("mpeg4", "aac"),
) -> Path:
    """A film that flashes and clicks at `events_s`; without sound if `sound_hz` is 0."""
    seconds = pictures_ms[-1] / 1000 + 0.04 if pictures_ms else 1.0
    with av.open(str(path), "w") as film:
        track: Any = _picture_track(film, codecs[0]) if pictures_ms else None
        sound: Any = film.add_stream(codecs[1], rate=sound_hz, layout="mono") if sound_hz else None
        blocks = _sound(seconds, events_s, sound_hz) if sound else iter(())
        for t_ms, picture in _pictures(pictures_ms, events_s):
            film.mux(track.encode(picture))
            if t_ms % 1000 == 0:
                film.mux([p for b in _upto(blocks, sound_hz) for p in sound.encode(b)])
        film.mux([p for block in blocks for p in sound.encode(block)] if sound else [])
        for made in (track, sound):
            film.mux(made.encode(None) if made else [])
    return path


def _upto(blocks: Iterator[Any], n_samples: int) -> Iterator[Any]:
    """Blocks of so many samples: about a second."""
    n = 0
    for block in blocks:
        yield block
        n += block.samples
        if n >= n_samples:
            return


def _picture_track(film: Any, codec: str) -> Any:
    track = film.add_stream(codec, rate=25)
    track.height, track.width = SIZE_PX
    track.pix_fmt = "yuv420p"
    track.codec_context.time_base = MS
    return track


def _pictures(times_ms: Sequence[int], events_s: Sequence[float]) -> Iterator[tuple[int, Any]]:
    flashes_ms = {min(times_ms, key=lambda t: abs(t - 1000 * e)) for e in events_s}
    for t_ms in times_ms:
        pixels = np.full((*SIZE_PX, 3), 255 if t_ms in flashes_ms else 16, np.uint8)
        picture = av.VideoFrame.from_ndarray(pixels, format="bgr24")
        picture.pts, picture.time_base = t_ms, MS
        yield t_ms, picture


def _sound(seconds: float, events_s: Sequence[float], rate_hz: int) -> Iterator[Any]:
    n, clicks = round(seconds * rate_hz), [round(e * rate_hz) for e in events_s]
    for start in range(0, n, 1024):
        wave = np.zeros(min(1024, n - start), np.int16)
        for click in clicks:
            first = np.clip([click - start, click - start + rate_hz // 200], 0, len(wave))
            wave[first[0] : first[1]] = 20_000
        block = av.AudioFrame.from_ndarray(wave.reshape(1, -1), format="s16", layout="mono")
        block.sample_rate, block.pts, block.time_base = rate_hz, start, Fraction(1, rate_hz)
        yield block


def flashes_s(samples: Sequence[Sample]) -> list[float]:
    """When it was bright, in seconds."""
    frames = [sample for sample in samples if isinstance(sample, Frame)]
    return [frame.t_capture_ns / 1e9 for frame in frames if frame.pixels.mean() > 128]


def clicks_s(samples: Sequence[Sample]) -> list[float]:
    """When clicks began, in seconds: the first loud sample after a second of quiet."""
    found: list[float] = []
    for chunk in samples:
        if isinstance(chunk, AudioChunk):
            loud = np.flatnonzero(np.abs(chunk.pcm[:, 0].astype(int)) > 6000)
            times = [chunk.t_capture_ns / 1e9 + n / chunk.rate_hz for n in loud[:1]]
            found += [t for t in times if not found or t - found[-1] > 1]
    return found
