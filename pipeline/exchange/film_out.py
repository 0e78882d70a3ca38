"""Writes an MP4 or MKV film: H.264 pictures at their own times, and the sound of one stream."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.exchange import media
from pipeline.exchange.incoming import NS_PER_S, ExchangeError
from pipeline.exchange.level import Level
from pipeline.exchange.sound import to_mono, to_pcm
from pipeline.sample import AudioChunk, Frame, Sample

FORMATS = {".mp4": ("mp4", "aac"), ".mkv": ("matroska", "flac")}
TICK_HZ = 90_000  # of presentation times: 11 us, and exact for the common rates
NOMINAL_HZ = 30  # what a player is told; the times of the pictures are their own
# Without B-frames: their reordering would move the first picture away from time 0.
H264 = {"preset": "veryfast", "crf": "18", "bf": "0"}
LAYOUTS = {1: "mono", 2: "stereo"}


class FilmOut:
    """A film of one camera and perhaps one microphone; takes their samples in order.

    A film declares its tracks before its first picture, so the first samples are needed at once.
    Pictures get the size of the first one. Raises ExchangeError.
    """

    def __init__(
        self, path: Path, zero_ns: int, picture: Frame, sound: AudioChunk | None = None
    ) -> None:
        av = media.library()
        self._zero_ns, self._camera = zero_ns, picture.stream
        self.left_out: Counter[str] = Counter()
        self._last_pts = -1
        self._failures = (av.FFmpegError, ValueError)
        self._frame_of, self._sound_of = av.VideoFrame.from_ndarray, av.AudioFrame.from_ndarray
        file_format, codec = FORMATS[path.suffix.lower()]
        try:
            self._file = av.open(f"file:{path}", "w", format=file_format)
            self._pictures = self._picture_track(picture)
            if sound:
                self._microphone, self._level = sound.stream, Level(zero_ns, sound)
                layout = LAYOUTS.get(self._level.n_channels, "mono")
                self._sound = self._file.add_stream(codec, rate=sound.rate_hz, layout=layout)
            else:
                self._microphone = ""
        except self._failures as error:
            raise self._failed(error) from error

    def take(self, sample: Sample) -> None:
        """Add a sample, if it is of this film."""
        try:
            if isinstance(sample, Frame) and sample.stream == self._camera:
                self._add_frame(sample)
            elif isinstance(sample, AudioChunk) and sample.stream == self._microphone:
                self._add_chunk(sample)
        except self._failures as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """End the film."""
        try:
            with self._file:
                if self._last_pts >= 0:
                    self._file.mux(self._pictures.encode(None))
                if self._microphone and self._level.n_samples:
                    self._file.mux(self._sound.encode(None))
        except self._failures as error:
            raise self._failed(error) from error

    def _picture_track(self, first: Frame) -> Any:
        height, width, _ = first.pixels.shape
        track = self._file.add_stream("libx264", rate=NOMINAL_HZ, options=dict(H264))
        # H.264 with colour at half the resolution has even sizes only.
        track.width, track.height = width + width % 2, height + height % 2
        track.pix_fmt = "yuv420p"
        track.codec_context.time_base = Fraction(1, TICK_HZ)
        return track

    def _add_frame(self, frame: Frame) -> None:
        pts = round((frame.t_capture_ns - self._zero_ns) * TICK_HZ / NS_PER_S)
        if pts <= self._last_pts:
            self.left_out["pictures before time 0 or out of order"] += 1
            return
        self._last_pts = pts
        height, width, _ = frame.pixels.shape
        even = np.pad(frame.pixels, ((0, height % 2), (0, width % 2), (0, 0)), "edge")
        picture = self._frame_of(np.ascontiguousarray(even), format=f"{frame.order}24")
        size_px = self._pictures.width, self._pictures.height
        if (picture.width, picture.height) != size_px:
            self.left_out["pictures of another size; scaled"] += 1
            picture = picture.reformat(width=size_px[0], height=size_px[1])
        picture.pts, picture.time_base = pts, Fraction(1, TICK_HZ)
        self._file.mux(self._pictures.encode(picture))

    def _add_chunk(self, chunk: AudioChunk) -> None:
        if not self._level.fits(chunk):
            self.left_out["chunks of sound of another form"] += 1
            return
        for pcm in self._level.place(chunk):
            if self._level.n_channels not in LAYOUTS:
                pcm = to_pcm(to_mono(pcm)).reshape(-1, 1)
            layout = LAYOUTS[pcm.shape[1]]
            block = self._sound_of(pcm.reshape(1, -1), format="s16", layout=layout)
            block.sample_rate = self._level.rate_hz
            block.pts = self._level.n_samples - len(pcm)
            block.time_base = Fraction(1, self._level.rate_hz)
            self._file.mux(self._sound.encode(block))

    def _failed(self, error: Exception) -> ExchangeError:
        return ExchangeError(f"{self._camera}: cannot be written as a film: {error}")
