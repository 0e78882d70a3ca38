"""Log-mel energies or MFCC of the newest sound, computed only for the samples that are new.

Frames lie in a mirrored ring: each is written twice, `frames` rows apart, so that the newest
ones are always one contiguous view and nothing is moved.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from engines.bundle import AudioSpec
from engines.error import EngineError

FLOOR = 1e-6  # added to the power of a mel band before the logarithm: about -60 dB of full scale


class LogMel:
    """An incremental front end of one stream.

    Hann window, power spectrum, HTK mel bands from 60 Hz to half the rate, natural logarithm; for
    MFCC then the cosine transform of the bands.
    """

    def __init__(self, spec: AudioSpec) -> None:
        self._spec = spec
        self._window = hann(spec.frame_samples)
        self._bands = mel_bands(spec.mels, spec.frame_samples, spec.rate_hz)
        mfcc = spec.features == "mfcc"
        self._cosines = cosines(spec.mels, spec.coefficients) if mfcc else None
        self._ring = np.zeros((2 * spec.frames, spec.bands), np.float32)
        self._tail = np.zeros(0, np.float32)
        self._n_frames = 0

    def reset(self) -> None:
        """Forget all sound, as after a gap."""
        self._tail = self._tail[:0]
        self._n_frames = 0

    @property
    def full(self) -> bool:
        """Whether a whole window of frames has come since the last reset."""
        return self._n_frames >= self._spec.frames

    def push(self, pcm: npt.NDArray[np.int16]) -> None:
        """Add samples: int16 (n, channels); the channels are averaged."""
        mono = pcm.mean(axis=1, dtype=np.float32) / 32768.0
        signal = np.concatenate([self._tail, mono])
        size, hop = self._spec.frame_samples, self._spec.hop_samples
        n_new = max(0, (len(signal) - size) // hop + 1)
        self._tail = signal[n_new * hop :]
        if n_new:
            # NumPy's sliding_window_view leaves cycles, which pile up between full collections.
            step = signal.itemsize
            frames = np.ndarray((n_new, size), signal.dtype, signal, 0, (hop * step, step))
            self._write(self._features(frames[-self._spec.frames :]), n_new)

    def features(self) -> npt.NDArray[np.float32]:
        """The newest frames, oldest first: float32 (1, 1, frames, bands), valid until `push`."""
        start = self._n_frames % self._spec.frames
        return self._ring[None, None, start : start + self._spec.frames]

    def _features(self, frames: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        spectrum = np.fft.rfft(frames * self._window, axis=1)
        power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
        # Frame by frame, in one shape always: the bits of a frame must not depend on how many come
        # with it, and a product of many rows would wake the threads of the BLAS, too.
        bands = (power[:, None, :] @ self._bands)[:, 0]
        logmel = np.asarray(np.log(bands + FLOOR), np.float32)
        return logmel if self._cosines is None else (logmel[:, None, :] @ self._cosines)[:, 0]

    def _write(self, rows: npt.NDArray[np.float32], n_new: int) -> None:
        size = self._spec.frames
        at = (self._n_frames + n_new - len(rows) + np.arange(len(rows))) % size
        self._ring[at] = rows
        self._ring[at + size] = rows
        self._n_frames += n_new


def hann(frame_samples: int) -> npt.NDArray[np.float32]:
    """The periodic Hann window, float32 (frame_samples,)."""
    return np.hanning(frame_samples + 1)[:-1].astype(np.float32)


@lru_cache(maxsize=8)
def cosines(n_mels: int, n: int) -> npt.NDArray[np.float32]:
    """The first `n` columns of the orthonormal DCT-II, float32 (n_mels, n).

    Raises EngineError for more coefficients than bands.
    """
    if n > n_mels:
        raise EngineError(f"{n} MFCC of {n_mels} mel bands: at most as many as bands")
    band, order = np.arange(n_mels)[:, None] + 0.5, np.arange(n)
    scale = np.where(order == 0, np.sqrt(1.0 / n_mels), np.sqrt(2.0 / n_mels))
    return np.asarray(scale * np.cos(np.pi / n_mels * band * order), np.float32)


@lru_cache(maxsize=8)
def mel_bands(n_mels: int, frame_samples: int, rate_hz: int) -> npt.NDArray[np.float32]:
    """Triangular mel filters, float32 (frame_samples // 2 + 1, n_mels).

    mel = 2595 log10(1 + f / 700) (HTK Book 3.4, section 5.6); each filter sums to its own area of
    1 and the power is scaled by 1 / frame_samples, so that the floor is relative to full scale.
    """
    edges_mel = np.linspace(_mel(60.0), _mel(rate_hz / 2), n_mels + 2)
    edges_hz = 700.0 * (10.0 ** (edges_mel / 2595.0) - 1.0)
    bins_hz = np.fft.rfftfreq(frame_samples, 1.0 / rate_hz)[:, None]
    low, centre, high = edges_hz[:-2], edges_hz[1:-1], edges_hz[2:]
    rising, falling = (bins_hz - low) / (centre - low), (high - bins_hz) / (high - centre)
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    total = np.maximum(triangles.sum(axis=0, keepdims=True), 1.0)
    return np.asarray(triangles / total / frame_samples, np.float32)


def _mel(hz: float) -> float:
    return float(2595.0 * np.log10(1.0 + hz / 700.0))
