"""What a reading, and the one before it, show of an instrument that is stuck."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pipeline.sample import Float32Array, Reading


class Gauge:
    """Looks at the readings of one stream, in their order."""

    def __init__(self) -> None:
        self._before: Float32Array | None = None

    def look(self, reading: Reading) -> Iterator[str]:
        """The faults that this reading may be a sign of: not one of its values has changed."""
        before, self._before = self._before, reading.values
        if before is not None and np.array_equal(before, reading.values):
            yield "frozen"
