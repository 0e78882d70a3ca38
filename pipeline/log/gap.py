"""Missing sequence numbers of a stream, which are samples that were lost."""

from __future__ import annotations

_BACKWARDS = 2**31  # a step of half the numbers and more is one backwards


class GapCounter:
    """Counts over the samples of one stream, as they come. Sequences have 32 bits."""

    def __init__(self) -> None:
        self.missing = 0
        self.restarts = 0  # of the count, as when a sensor process begins anew
        self._last: int | None = None

    def __call__(self, sequence: int) -> int:
        """How many are missing in front of this one."""
        last, self._last = self._last, sequence
        if last is None:
            return 0
        step = (sequence - last) % 2**32
        if step == 0 or step >= _BACKWARDS:
            self.restarts += 1
            return 0
        self.missing += step - 1
        return step - 1
