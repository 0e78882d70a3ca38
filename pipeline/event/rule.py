"""Rules that turn the scores of many ticks into one start and one end each.

A candidate begins with a tick whose score is at least `enter`, and lasts while the score is at
least `leave`. After `min_duration_s` it is an event, and its start is told. The event is over when
the score has been below `leave` for `min_duration_s`. For `cool_down_s` from then on nothing new
begins. The time is that of the ticks alone, so a replay tells the same.
"""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.event.event import Event, event_stream
from pipeline.outlet import EventRule, Phase
from pipeline.prediction import Prediction


class Rule:
    """One rule and where it stands."""

    def __init__(self, keys: EventRule) -> None:
        self._keys = keys
        self._least_ns = round(keys.min_duration_s * 1e9)
        self._cool_ns = round(keys.cool_down_s * 1e9)
        self._began_ns: int | None = None
        self._last_ns = 0  # the last tick at or above `leave`
        self._low_ns: int | None = None  # the first tick below it since
        self._cold_ns: int | None = None  # when the cool-down is over
        self._peak = 0.0
        self.active = False
        self.n_started = 0

    def step(self, prediction: Prediction) -> Event | None:
        """What this prediction makes of it."""
        score, tick_ns = prediction.scores.get(self._keys.label, 0.0), prediction.tick_ns
        if self._began_ns is None:
            self._begin(score, tick_ns)
        elif score >= self._keys.leave:
            self._peak, self._last_ns, self._low_ns = max(self._peak, score), tick_ns, None
        elif self._low_ns is None:
            self._low_ns = tick_ns
        if self._began_ns is None:
            return None
        if self.active:
            over = self._low_ns is not None and tick_ns - self._low_ns >= self._least_ns
            return self.finish(prediction) if over else None
        return self._start(prediction)

    def finish(self, prediction: Prediction) -> Event | None:
        """End it now, as when the run is over."""
        if not self.active:
            return None
        told = self._tell(prediction, "end")
        self.active, self._began_ns = False, None
        self._cold_ns = prediction.tick_ns + self._cool_ns
        return told

    def _begin(self, score: float, tick_ns: int) -> None:
        if self._cold_ns is not None and tick_ns < self._cold_ns:
            return
        if score >= self._keys.enter:
            self._began_ns = self._last_ns = tick_ns
            self._peak, self._low_ns = score, None

    def _start(self, prediction: Prediction) -> Event | None:
        """Tell a candidate that has lasted; forget one that has not."""
        if self._low_ns is not None:
            self._began_ns = None
        elif self._last_ns - (self._began_ns or 0) >= self._least_ns:
            self.active = True
            self.n_started += 1
            return self._tell(prediction, "start")
        return None

    def _tell(self, prediction: Prediction, phase: Phase) -> Event:
        return Event(
            stream=event_stream(self._keys.name),
            seq=2 * (self.n_started - 1) + (phase == "end"),
            t_capture_ns=prediction.tick_ns,
            t_publish_ns=prediction.t_publish_ns,
            name=self._keys.name,
            phase=phase,
            label=self._keys.label,
            score=prediction.scores.get(self._keys.label, 0.0),
            peak=self._peak,
            began_ns=self._began_ns or 0,
            until_ns=self._last_ns,
            top=prediction.top,
            missing=prediction.missing,
        )


class Rules:
    """All rules of a configuration."""

    def __init__(self, keys: list[EventRule]) -> None:
        self._rules = {rule.name: Rule(rule) for rule in keys}

    def step(self, prediction: Prediction) -> list[Event]:
        """The events that this prediction begins and ends."""
        found = [rule.step(prediction) for rule in self._rules.values()]
        return [event for event in found if event is not None]

    def finish(self, prediction: Prediction) -> list[Event]:
        """The ends of all that is going on."""
        found = [rule.finish(prediction) for rule in self._rules.values()]
        return [event for event in found if event is not None]

    def counters(self) -> Mapping[str, int]:
        """{"event.NAME.active": 0 or 1, "event.NAME.started": n}."""
        return {
            f"event.{name}.{what}": number
            for name, rule in self._rules.items()
            for what, number in (("active", int(rule.active)), ("started", rule.n_started))
        }
