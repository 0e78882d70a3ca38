"""What the sensors say is wrong with their streams, and which of it masks a stream."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.config import Config
from pipeline.sample import Health

# Health comes once a second; what a sensor said before it died is soon of no more use.
MAX_AGE_NS = 3_000_000_000


class Faults:
    """The faults that each stream's sensor reported last. A function of what it is given alone."""

    def __init__(self, config: Config) -> None:
        self._masks = {stream: set(line.mask_faults) for stream, line in config.streams.items()}
        self._faults: dict[str, tuple[int, list[str]]] = {}

    def hear(self, health: Health, now_ns: int) -> None:
        """Take in the health of a sensor, which came at `now_ns`; of other processes nothing."""
        if health.process not in self._masks:
            return
        if health.faults:
            self._faults[health.process] = (now_ns, health.faults)
        else:
            self._faults.pop(health.process, None)

    def recall(self, faults: Mapping[str, list[str]], now_ns: int) -> None:
        """Take what was recorded in place of what was heard."""
        self._faults = {stream: (now_ns, names) for stream, names in faults.items()}

    def found(self, now_ns: int) -> dict[str, list[str]]:
        """{stream: its faults} of those that have some, in the order of their names."""
        found = sorted(self._faults.items())
        return {stream: names for stream, (t_ns, names) in found if now_ns - t_ns <= MAX_AGE_NS}

    def masked(self, now_ns: int) -> set[str]:
        """The streams that have a fault of their `mask_faults`: they are absent."""
        found = self.found(now_ns).items()
        return {
            stream
            for stream, names in found
            if not self._masks.get(stream, set()).isdisjoint(names)
        }
