"""The sink that makes events of predictions, in the node's process, and hands them on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pipeline.event.event import Event
from pipeline.event.rule import Rules
from pipeline.outlet import EventRule
from pipeline.prediction import Prediction


class EventSink:
    """Steps the rules with each prediction; events go where the predictions have gone before."""

    def __init__(self, keys: list[EventRule], sinks: Sequence[Callable[[Event], None]]) -> None:
        self._rules, self._sinks = Rules(keys), sinks
        self._newest: Prediction | None = None

    def __call__(self, prediction: Prediction) -> None:
        self._newest = prediction
        self._tell(self._rules.step(prediction))

    def finish(self) -> None:
        """End what is going on: no prediction comes any more."""
        if self._newest is not None:
            self._tell(self._rules.finish(self._newest))

    def counters(self) -> Mapping[str, int]:
        """Those of the rules."""
        return self._rules.counters()

    def _tell(self, events: Sequence[Event]) -> None:
        for event in events:
            for sink in self._sinks:
                sink(event)
