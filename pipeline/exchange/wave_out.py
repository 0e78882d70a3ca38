"""Writes one stream of sound as a WAV file that begins with the log."""

from __future__ import annotations

import wave
from collections import Counter
from pathlib import Path

import numpy as np

from pipeline.exchange.incoming import ExchangeError
from pipeline.exchange.level import Level
from pipeline.sample import AudioChunk, Int16Array, Sample

MAX_BYTES = 2**32 - 2**12  # what the format can say of its length
BYTES_A_SAMPLE = 2


class WaveOut:
    """A WAV file of one microphone. Raises ExchangeError."""

    def __init__(self, path: Path, zero_ns: int, first: AudioChunk) -> None:
        self._path, self._stream = path, first.stream
        self._level = Level(zero_ns, first)
        self.left_out: Counter[str] = Counter()
        self._file = wave.open(str(path), "wb")  # noqa: SIM115 - closed by close()
        self._file.setnchannels(self._level.n_channels)
        self._file.setsampwidth(BYTES_A_SAMPLE)
        self._file.setframerate(self._level.rate_hz)

    def take(self, sample: Sample) -> None:
        """Add a chunk, if it is of this stream."""
        if not isinstance(sample, AudioChunk) or sample.stream != self._stream:
            return
        if not self._level.fits(sample):
            self.left_out["chunks of sound of another form"] += 1
            return
        for pcm in self._level.place(sample):
            n_bytes = self._level.n_samples * self._level.n_channels * BYTES_A_SAMPLE
            if n_bytes > MAX_BYTES:
                raise ExchangeError(f"{self._stream}: is too long for a WAV file")
            self._file.writeframesraw(pcm.astype("<i2", copy=False).tobytes())

    def close(self) -> None:
        self._file.close()


def write_wave(path: Path, pcm: Int16Array, rate_hz: int) -> None:
    """Write int16 (n, channels) as a WAV file. Raises OSError."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(pcm.shape[1])
        file.setsampwidth(BYTES_A_SAMPLE)
        file.setframerate(rate_hz)
        file.writeframes(np.ascontiguousarray(pcm, "<i2").tobytes())
