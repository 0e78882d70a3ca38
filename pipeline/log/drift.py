"""How fast a microphone's clock runs against the host's."""

from __future__ import annotations

from pipeline.sample import AudioChunk

MIN_SPAN_NS = 5_000_000_000  # less says nothing: a chunk's time is known to a millisecond or so


class DriftMeter:
    """Least squares of the host's time over the time by sample count; a gap begins a new run."""

    def __init__(self) -> None:
        self._next_seq: int | None = None
        self._run = _Run()
        self._sxx = self._sxy = 0.0
        self._span_ns = 0

    def __call__(self, chunk: AudioChunk) -> None:
        """Take the next chunk of the stream."""
        if chunk.seq != self._next_seq:
            self._close()
        self._next_seq = chunk.seq + 1
        self._run.add(chunk)

    @property
    def ppm(self) -> float | None:
        """Above zero: the microphone is fast, and gives more samples than its rate says."""
        self._close()
        if self._span_ns < MIN_SPAN_NS:
            return None
        return -self._sxy / self._sxx * 1e6

    def _close(self) -> None:
        run, self._run, self._next_seq = self._run, _Run(), None
        self._sxx += run.sxx
        self._sxy += run.sxy
        self._span_ns = max(self._span_ns, run.span_ns)


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
