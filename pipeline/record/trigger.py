"""What makes an incident, told from the predictions and the healths of a run.

Each trigger is a condition, and fires as it comes true; while it stays true nothing more happens.

* label: the score of one of `labels` has reached `score`.
* disagreement: for a second every prediction had all of its streams, and yet no label had a score
  of at least `disagreement`. The model is sure of what it was trained for, so doubt with nothing
  missing means that the devices tell different stories, or a new one. It takes a second because
  between two situations the windows of the streams lie apart for a moment.
* missed_deadline: a prediction came later than `fusion.deadline_ms` allows.
* lost_sensor: a sensor lost its device or its host, or its process has died or is silent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pipeline.config import Config, Incidents
from pipeline.prediction import Prediction
from pipeline.sample import Health

DOUBT_NS = 1_000_000_000
SILENCE_NS = 3_000_000_000  # health comes once a second
LOST = ("lost", "disconnected")
ENDED = ("stopped", "ended")  # in order: muted, or a file that is over


class Triggers:
    """Looks at predictions and healths; yields why there is an incident, as it begins."""

    def __init__(self, config: Config) -> None:
        self._keys: Incidents = config.incident
        self._clock = config.fusion.clock
        self._deadline_ns = int((config.fusion.deadline_ms or 0) * 1e6)
        self._streams = list(config.streams)
        self._true: set[str] = set()
        self._sure_ns: int | None = None
        self._healths: dict[str, Health] = {}

    def predicted(self, prediction: Prediction) -> Iterator[str]:
        """Why this prediction begins an incident, if it does."""
        for label in self._keys.labels:
            reached = prediction.scores.get(label, 0.0) >= self._keys.score
            yield from self._rising(f"label {label}", reached)
        if self._keys.disagreement is not None:
            yield from self._rising("disagreement", self._in_doubt(prediction))
        if self._keys.missed_deadline:
            late = prediction.t_emit_ns - self._since_ns(prediction) > self._deadline_ns
            yield from self._rising("missed_deadline", late)

    def watched(self, healths: Mapping[str, Health], now_ns: int) -> Iterator[str]:
        """Which streams were lost since the last look."""
        if not self._keys.lost_sensor:
            return
        for stream in self._streams:
            health = healths.get(stream)
            if health is None:
                continue
            yield from self._rising(f"lost_sensor {stream}", self._is_lost(health, now_ns))
            self._healths[stream] = health

    def _rising(self, why: str, is_true: bool) -> Iterator[str]:
        if is_true and why not in self._true:
            self._true.add(why)
            yield why
        elif not is_true:
            self._true.discard(why)

    def _in_doubt(self, prediction: Prediction) -> bool:
        limit = self._keys.disagreement or 0.0
        is_sure = bool(prediction.missing) or max(prediction.scores.values(), default=1.0) >= limit
        if is_sure or self._sure_ns is None:
            self._sure_ns = prediction.tick_ns
        return prediction.tick_ns - self._sure_ns >= DOUBT_NS

    def _since_ns(self, prediction: Prediction) -> int:
        """From when on the deadline counts: the end of the clock's sample, else the tick."""
        return prediction.tick_ns - prediction.ages_ns.get(self._clock, 0)

    def _is_lost(self, health: Health, now_ns: int) -> bool:
        before = self._healths.get(health.process)
        died = before is not None and health.pid != before.pid and before.state not in ENDED
        silent = health.state not in ENDED and now_ns - health.t_publish_ns > SILENCE_NS
        return health.state in LOST or died or silent
