"""How fast a microphone's clock runs against the host's."""

from __future__ import annotations

from pipeline.aligner import follows
from pipeline.sample import AudioChunk

MIN_SPAN_NS = 5_000_000_000  # less says nothing: a chunk's time is known to a millisecond or so

MAX_PPM = 10_000.0  # no clock is so wrong: a little sound is missing all the time


class DriftMeter:
    """Least squares of the host's time over the time by sample count; a gap begins a new run.

    A gap is what the aligner takes for one: a number that is missing, or too much time.
    """

    def __init__(self) -> None:
        self._last: AudioChunk | None = None
        self._run = _Run()
        self._sxx = self._sxy = 0.0

    def __call__(self, chunk: AudioChunk) -> None:
        """Take the next chunk of the stream."""
        if self._last and not _goes_on(self._last, chunk):
            self._close()
        self._last = chunk
        self._run.add(chunk)

    @property
    def ppm(self) -> float | None:
        """Above zero: the microphone is fast, and gives more samples than its rate says.

        None where no piece without a gap is long enough to tell, or it is that of no clock.
        """
        self._close()
        ppm = -self._sxy / self._sxx * 1e6 if self._sxx else MAX_PPM
        return ppm if abs(ppm) < MAX_PPM else None

    def _close(self) -> None:
        run, self._run, self._last = self._run, _Run(), None
        if run.span_ns >= MIN_SPAN_NS:
            self._sxx += run.sxx
            self._sxy += run.sxy


def _goes_on(before: AudioChunk, after: AudioChunk) -> bool:
    return follows(before, after) and before.rate_hz == after.rate_hz


class _Run:
    """Sums over chunks without a gap: x the time by count, y the host's time beyond it."""

    def __init__(self) -> None:
        self.sxx = self.sxy = 0.0
        self.span_ns = 0
        self._n = 0
        self._mean_x = self._mean_y = 0.0
        self._begin_ns = self._n_samples = 0

    def add(self, chunk: AudioChunk) -> None:
        """Welford's update of the sums, so that no large numbers are subtracted."""
        if not self._n:
            self._begin_ns = chunk.t_capture_ns
        x_ns = self._n_samples * 1_000_000_000 // chunk.rate_hz
        y_ns = chunk.t_capture_ns - self._begin_ns - x_ns
        self._n += 1
        dx = x_ns - self._mean_x
        self._mean_x += dx / self._n
        self._mean_y += (y_ns - self._mean_y) / self._n
        self.sxx += dx * (x_ns - self._mean_x)
        self.sxy += dx * (y_ns - self._mean_y)
        self.span_ns = x_ns
        self._n_samples += len(chunk.pcm)
