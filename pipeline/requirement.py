"""Streams without which a run is of no use: `required = true`."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.config import Config
from pipeline.crew import Crew
from pipeline.error import RequiredStreamError
from pipeline.sample import Health

# A cable that is put back, or a camera that reboots its stream, is there again within seconds.
DOWN_S = 30.0
SILENCE_S = 6.0  # the health of a live process is never so old
LOST = ("lost", "disconnected", "refused", "no_clock")


class Requirements:
    """Looks whether each required stream is there. A muted one was switched off on purpose."""

    def __init__(self, config: Config, crew: Crew) -> None:
        self._streams = [s for s, line in config.streams.items() if line.required]
        self._crew = crew
        self._down_since_s: dict[str, float] = {}

    def check(self, healths: Mapping[str, Health], now_s: float) -> None:
        """Raises RequiredStreamError: one has failed, or was down for DOWN_S."""
        for stream in self._streams:
            sensor = self._crew.sensors.get(stream)
            if sensor and sensor.failed and not sensor.pid:
                why = f"has failed: it {sensor.last_end}, and so again and again"
                raise RequiredStreamError(f"{stream} is required and {why}; see above")
            why = self._why_down(stream, healths.get(stream), now_s)
            if not why:
                self._down_since_s.pop(stream, None)
                continue
            down_s = now_s - self._down_since_s.setdefault(stream, now_s)
            if down_s > DOWN_S:
                raise RequiredStreamError(
                    f"{stream} is required and is down for {down_s:.0f} s: {why}"
                )

    def _why_down(self, stream: str, health: Health | None, now_s: float) -> str:
        sensor = self._crew.sensors.get(stream)
        if sensor and sensor.muted:
            return ""
        if health is None or (sensor and health.pid != sensor.pid):
            return f"its process {sensor.last_end}" if sensor and sensor.last_end else "no report"
        if health.state in LOST:
            return health.last_error or health.state
        return "its process is silent" if now_s - health.t_publish_ns / 1e9 > SILENCE_S else ""
