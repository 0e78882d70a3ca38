"""What a rule says of many predictions: something has begun, or it is over."""

from __future__ import annotations

from typing import Any

from msgspec import field

from pipeline.outlet import Phase
from pipeline.sample import Sample


def event_stream(name: str) -> str:
    """The topic under which the events of a rule are published."""
    return f"event/{name}"


class Event(Sample, frozen=True, kw_only=True):
    """The start or the end of an event. `t_capture_ns` is the tick at which it was told.

    `began_ns`, `until_ns`: from its first tick to its last until now. `score` is that of the tick,
    `peak` the highest so far. `top` and `missing` are those of the prediction.
    """

    name: str
    phase: Phase
    label: str
    score: float
    peak: float
    began_ns: int
    until_ns: int
    top: str = ""
    missing: list[str] = field(default_factory=list)

    @property
    def duration_s(self) -> float:
        """How long it has lasted until it was told."""
        return (self.until_ns - self.began_ns) / 1e9

    def report(self, wall_minus_monotonic_ns: int) -> dict[str, Any]:
        """The form for people and scripts, as that of a prediction."""
        return {
            "t": round((self.t_capture_ns + wall_minus_monotonic_ns) / 1e9, 3),
            "event": self.name,
            "phase": self.phase,
            "label": self.label,
            "score": round(self.score, 4),
            "peak": round(self.peak, 4),
            "began": round((self.began_ns + wall_minus_monotonic_ns) / 1e9, 3),
            "duration_s": round(self.duration_s, 3),
            "top": self.top,
            "missing": self.missing,
        }
