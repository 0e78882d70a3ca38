"""Tokens that are used again: each stream is encoded at most once in so many ticks.

Until then a prediction uses the window that was encoded last, names it in `inputs`, and tells its
true age. So a recorded run needs no word of the governor to be replayed: the windows that its
predictions name are all that it did. A window that would be older than the stream's max_age_ms is
not used again: the newest is encoded in its place, and no stream is masked for want of encoding.
"""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.aligner import Window


class Reuse:
    """Which window a tick uses. A function of ticks and samples, and of `every` at each tick."""

    def __init__(self, max_ages_ns: Mapping[str, int]) -> None:
        """`max_ages_ns` {stream: how old its window may be at a tick}."""
        self._max_ages_ns = max_ages_ns
        # Streams take turns: where all were encoded in one tick, that tick would be late.
        self._turns = {stream: turn for turn, stream in enumerate(max_ages_ns)}
        self._every, self._n_ticks = 1, 0
        self.n_wanted = self.n_encoded = 0
        self._newest: dict[str, int] = {}
        self._used: dict[str, int] = {}
        self._windows: dict[str, Window] = {}

    @property
    def every(self) -> int:
        """Each stream is encoded at most once in so many ticks; 1 holds nothing back."""
        return self._every

    @every.setter
    def every(self, every: int) -> None:
        self._every = every
        self._used.clear()
        if every == 1:
            self._windows.clear()

    def begin_tick(self) -> None:
        """A tick begins."""
        self._n_ticks += 1

    def may_encode(self, stream: str) -> bool:
        """Whether the stream has not been encoded yet in its present turn."""
        return self._every == 1 or self._used.get(stream) != self._turn(stream)

    def want(self, stream: str, newest_seq: int) -> None:
        """The newest window ends with this sample: count what full rate would encode."""
        self.n_wanted += self._newest.get(stream) != newest_seq
        self._newest[stream] = newest_seq

    def encoded(self, stream: str) -> None:
        """A window of the stream is being encoded now."""
        self.n_encoded += 1
        self._used[stream] = self._turn(stream)

    def last(self, stream: str, now_ns: int) -> Window | None:
        """The window that was used last, if it may be used once more in place of a newer one."""
        window = self._windows.get(stream)
        if window is None or self.may_encode(stream):
            return None
        too_old = now_ns - window[-1].t_end_ns > self._max_ages_ns[stream]
        return None if too_old else window

    def keep(self, stream: str, window: Window) -> bool:
        """Note the window that a tick used; whether it may be wanted again."""
        if self._every > 1:
            self._windows[stream] = window
        return self._every > 1

    def _turn(self, stream: str) -> int:
        return (self._n_ticks + self._turns[stream]) // self._every
