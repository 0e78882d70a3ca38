"""All that the node's process puts out: predictions and their events, published and as lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pipeline.bus.publisher import Publisher
from pipeline.config import Config
from pipeline.event.sink import EventSink
from pipeline.governor.reuse import Reuse
from pipeline.governor.sink import GovernorSink
from pipeline.prediction import Prediction
from pipeline.sink import JsonLines, publish_sink


class Output:
    """One sink made of all. Events go where the prediction has just gone. Raises ConfigError."""

    def __init__(self, config: Config, publisher: Publisher, ask_stop: Callable[[], None]) -> None:
        """`ask_stop` is called when nobody reads the lines any more."""
        self._sinks = [publish_sink(publisher)]
        self._lines = JsonLines(config.out.jsonl, ask_stop) if config.out.jsonl else None
        if self._lines:
            self._sinks.append(self._lines)
        self._events = EventSink(config.event, self._sinks)
        self._governor: GovernorSink | None = None

    def __call__(self, prediction: Prediction) -> None:
        for sink in self._sinks:
            sink(prediction)
        self._events(prediction)

    def govern(self, deadline_ms: float, reuse: Reuse) -> GovernorSink:
        """The governor of a node, whose events go where the others do."""
        self._governor = GovernorSink(deadline_ms, reuse, self._sinks)
        return self._governor

    def finish(self) -> None:
        """End the events that go on: no prediction comes any more."""
        self._events.finish()
        if self._governor:
            self._governor.finish()
        if self._lines:
            self._lines.finish()

    def close(self) -> None:
        """Wait for the lines, not for long. Raises SensoriumError if they could not be written."""
        if self._lines:
            self._lines.close()

    def counters(self) -> Mapping[str, int]:
        """What was dropped, and what each event has come to."""
        dropped = self._lines.dropped if self._lines else 0
        governed = self._governor.counters() if self._governor else {}
        return {"jsonl_dropped": dropped, **self._events.counters(), **governed}
