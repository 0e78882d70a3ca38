"""The process that speaks to the home: predictions and events to a broker, commands to devices.

Started by the supervisor with the argument CONFIG. It is one more reader of the predictions
endpoint, and nobody waits for it.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from pipeline import child
from pipeline.bus.publisher import Publisher
from pipeline.bus.subscriber import Subscriber
from pipeline.child import HealthReporter, Stop
from pipeline.config import Config
from pipeline.event.event import Event, event_stream
from pipeline.home.command import Commands
from pipeline.home.herald import Herald
from pipeline.home.plan import HOME
from pipeline.prediction import Prediction
from pipeline.stream import Text

MAX_WAIT_MS = 100
EVENT_BOUND = 1024
DRAIN_S = 0.1  # the node has ended before: what it said last is on its way
FLUSH_S = 1.0  # for the broker to acknowledge the last events


class Home:
    """The loop of this process."""

    def __init__(self, config: Config) -> None:
        # The one pair of clock readings that gives everything said here its wall-clock time.
        offset_ns = time.time_ns() - time.monotonic_ns()
        mqtt, endpoint = config.out.mqtt, config.predictions_endpoint
        self._herald = Herald(config, mqtt, offset_ns) if mqtt else None
        link = self._herald.link if self._herald else None
        self._commands = Commands(config.action, config.name, offset_ns, link)
        events = Text(source="", bound=EVENT_BOUND)
        newest = Text(source="", policy="latest")
        table = {event_stream(rule.name): (endpoint, events) for rule in config.event}
        table[f"prediction/{config.name}"] = (endpoint, newest)
        self._bus = Subscriber(table, [endpoint])
        self._n_events = 0

    def step(self, timeout_ms: float) -> None:
        """Take what comes, and say what is due. Raises BusError."""
        for sample in self._bus.receive(timeout_ms):
            if isinstance(sample, Event):
                self._happened(sample)
            elif isinstance(sample, Prediction) and self._herald:
                self._herald.predicted(sample)
        node = self._bus.health.get("node")
        if self._herald:
            if node:
                self._herald.counted(node.counters, node.t_publish_ns)
            self._herald.step(time.monotonic_ns())

    def finish(self) -> None:
        """Say the last, and that this is the end."""
        deadline_s = time.monotonic() + DRAIN_S
        while time.monotonic() < deadline_s:
            self.step(20)
        if self._herald:
            link, deadline_s = self._herald.link, time.monotonic() + FLUSH_S
            while link.connected and link.unacknowledged and time.monotonic() < deadline_s:
                self.step(20)
            link.close()
        self._commands.close()
        self._bus.close()

    def counters(self) -> dict[str, int]:
        """What was heard and said."""
        lost = sum(ledger.dropped["queue_full"] for ledger in self._bus.ledgers.values())
        link = self._herald.link.counters() if self._herald else {}
        heard = {"events": self._n_events, "events_missed": lost}
        return {**heard, **link, **self._commands.counters}

    @property
    def state(self) -> tuple[str, str]:
        """State and last error for the health."""
        if self._herald is None or self._herald.link.connected:
            return "running", ""
        return "lost", self._herald.link.last_error

    def _happened(self, event: Event) -> None:
        self._n_events += 1
        if self._herald:
            self._herald.happened(event)
        self._commands.happened(event, time.monotonic_ns())


def serve(config: Config, stop: Stop) -> None:
    """Speak until told to stop. Raises ConfigError, BusError."""
    with Publisher(config.home_endpoint) as publisher:
        health = HealthReporter(HOME, publisher, {})
        home = Home(config)
        while not stop.is_set():
            home.step(MAX_WAIT_MS)
            state, last_error = home.state
            if health.due or state != health.state:
                health.counters, health.last_error = home.counters(), last_error
                health.report(state)
        home.finish()
        health.counters = home.counters()
        health.report("stopped")


def main() -> int:
    """The entry of the process."""
    path = Path(sys.argv[1])
    return child.run(HOME, lambda stop: serve(child.read_config(path), stop))


if __name__ == "__main__":
    sys.exit(main())
