"""When a picture is suddenly brighter than those before it."""

from __future__ import annotations

import statistics
from collections import deque

from pipeline.sample import Frame

LOOKED_AT_PX = (48, 64)  # rows and columns of a picture of any size
KEPT = 20  # pictures whose brightness is the usual one
MIN_KEPT = 5
# Mean levels of 255. A lamp that fills a fiftieth of a picture raises it by four.
MIN_RISE = 3.0
NOISE_FACTOR = 8.0  # a flash stands out by so many usual deviations
LIT_NS = 1_000_000_000  # after so long it is no flash: somebody has switched on the light
MAX_PERIOD_NS = 250_000_000  # between pictures; beyond, nobody knows when it flashed


class Flashes:
    """Finds the flashes of one camera, from its pictures in their order."""

    def __init__(self) -> None:
        self._usual: deque[float] = deque(maxlen=KEPT)
        self._before_ns: int | None = None
        self._lit_ns: int | None = None

    def take(self, frame: Frame) -> int | None:
        """The capture time of a flash that this picture is the first to show.

        It began after the picture before, so the middle between the two is right on average.
        """
        level, now_ns = brightness(frame), frame.t_capture_ns
        before_ns, self._before_ns = self._before_ns, now_ns
        if len(self._usual) < MIN_KEPT:
            self._usual.append(level)
            return None
        is_bright = self._is_bright(level)
        if self._lit_ns is None and is_bright:
            self._lit_ns = now_ns
            assert before_ns is not None, "some pictures came before"
            return None if now_ns - before_ns > MAX_PERIOD_NS else (before_ns + now_ns) // 2
        if not is_bright:
            self._lit_ns = None
            self._usual.append(level)
        elif self._lit_ns is not None and now_ns - self._lit_ns > LIT_NS:
            self._lit_ns = None
            self._usual.clear()
        return None

    def _is_bright(self, level: float) -> bool:
        usual = statistics.median(self._usual)
        noise = statistics.median(abs(each - usual) for each in self._usual)
        limit = max(MIN_RISE, NOISE_FACTOR * noise)
        return level - usual > (limit if self._lit_ns is None else limit / 2)


def brightness(frame: Frame) -> float:
    """The mean of the second channel, green, of about 3,000 pixels."""
    rows, columns = (
        max(1, n // most) for n, most in zip(frame.pixels.shape, LOOKED_AT_PX, strict=False)
    )
    return float(frame.pixels[::rows, ::columns, 1].mean())
