"""The fusion node's process: takes samples off the bus, ticks, hands predictions to the sinks.

Started by the supervisor with the argument CONFIG.
"""

from __future__ import annotations

import gc
import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from engines.bundle import load_bundle
from pipeline import child
from pipeline.building.standby import open_model
from pipeline.bus.publisher import Publisher
from pipeline.bus.subscriber import Subscriber
from pipeline.child import HEALTH_PERIOD_NS, HealthReporter, Stop
from pipeline.config import Config
from pipeline.frontend import RefusedError
from pipeline.governor.sink import GovernorSink
from pipeline.node import FusionNode
from pipeline.output import Output
from pipeline.prediction import Prediction
from pipeline.sample import Health, Sample, Tokens, tokens_stream
from pipeline.sink import Sink

MAX_WAIT_MS = 100  # so that a stop is noticed
PREDICTION_BOUND = 256
RECORDER_S = 2.0  # so long the node waits for a recorder, which may have failed
DRAIN_S = 0.4  # for the last words of sensors that were told to stop before

log = logging.getLogger(__name__)


class Ticks:
    """Ticks on multiples of the period of the monotonic clock; one that is late is skipped."""

    def __init__(self, tick_hz: float, now_ns: int) -> None:
        self._period_ns = round(1e9 / tick_hz)
        self.next_ns = now_ns - now_ns % self._period_ns + self._period_ns
        self.n_skipped = 0

    def wait_ms(self, now_ns: int) -> float:
        """How long until the next tick."""
        return (self.next_ns - now_ns) / 1e6

    def due(self, now_ns: int) -> int | None:
        """The newest tick that is due, if one is."""
        if now_ns < self.next_ns:
            return None
        tick_ns = now_ns - now_ns % self._period_ns
        self.n_skipped += (tick_ns - self.next_ns) // self._period_ns
        self.next_ns = tick_ns + self._period_ns
        return tick_ns


class Live:
    """The loop between the bus and the sinks, and its counters.

    With a clock stream each of its samples is a tick. While it is silent for longer than its
    max_age_ms, `tick_hz` ticks in its place, if the configuration gives one.
    """

    def __init__(
        self,
        config: Config,
        node: FusionNode,
        subscriber: Subscriber,
        sinks: Sequence[Sink],
        keep: Callable[[Tokens], None] | None = None,
    ) -> None:
        """`keep` takes the tokens of the streams that are recorded as such."""
        self._node, self._subscriber, self._sinks, self._keep = node, subscriber, sinks, keep
        self._clock = config.fusion.clock
        self._silence_ns = int(config.streams[self._clock].max_age_ms * 1e6) if self._clock else 0
        self._clock_ns = time.monotonic_ns()
        self._ticks = Ticks(config.tick_hz, self._clock_ns) if config.tick_hz else None
        self._deadline_ns = int((config.fusion.deadline_ms or 0) * 1e6)
        self._heard: dict[str, Health] = {}
        self._clock_seq = -1
        self.governor: GovernorSink | None = None
        self.counters = {"predictions": 0, "ticks_skipped": 0, "deadline_missed": 0}

    def step(self) -> None:
        """Wait for samples or the next tick, and do what is due."""
        for sample in self._subscriber.receive(self._wait_ms()):
            self._accept(sample)
        self._hear()
        now_ns = time.monotonic_ns()
        n_skipped = self._ticks.n_skipped if self._ticks else 0
        tick_ns = self._ticks.due(now_ns) if self._ticks else None
        if self._ticks and tick_ns is not None and now_ns - self._clock_ns >= self._silence_ns:
            self._emit(self._node.tick(tick_ns), tick_ns, self._ticks.n_skipped - n_skipped)

    def drain(self, expected: Sequence[str]) -> None:
        """Take what is still on its way, until each sensor has said its last, and close the books.

        What comes now is no longer predicted from.
        """
        deadline_ns = time.monotonic_ns() + int(DRAIN_S * 1e9)
        while time.monotonic_ns() < deadline_ns and not self._all_stopped(expected):
            self._take(20)
        self._take(0)
        for stream in self._subscriber.ledgers:
            health = self._subscriber.health.get(stream)
            if health is not None and health.state == "stopped":
                self._subscriber.ledgers[stream].close(health.counters.get("captured", 0))

    def count(self, put_out: Mapping[str, int]) -> None:
        """Bring the counters up to date, with those of the output."""
        self.counters.update(put_out)
        self.counters["ticks_skipped"] = self._ticks.n_skipped if self._ticks else 0
        for stream, ledger in self._subscriber.ledgers.items():
            for name, value in ledger.counters().items():
                self.counters[f"{stream}.{name}"] = value

    def _wait_ms(self) -> float:
        if self._ticks is None:
            return MAX_WAIT_MS
        return min(MAX_WAIT_MS, self._ticks.wait_ms(time.monotonic_ns()))

    def _hear(self) -> None:
        """Tell the node what the sensors say of themselves, once each time."""
        for process, health in self._subscriber.health.items():
            if self._heard.get(process) is not health:
                self._heard[process] = health
                self._node.accept(health, time.monotonic_ns())

    def _accept(self, sample: Sample) -> None:
        try:
            self._node.accept(sample, time.monotonic_ns())
        except RefusedError as error:
            self._subscriber.refuse(sample.stream, "refused", str(error))
            return
        if sample.stream == self._clock:
            self._clock_ns = time.monotonic_ns()
            n_left_out = max(0, sample.seq - self._clock_seq - 1) if self._clock_seq >= 0 else 0
            self._clock_seq = sample.seq
            self._emit(self._node.tick(sample.t_publish_ns), sample.t_end_ns, n_left_out)

    def _emit(self, prediction: Prediction, since_ns: int, n_left_out: int) -> None:
        for stream in self._node.take_overwritten():
            self._subscriber.refuse(stream, "overwritten", "the node was too slow for its ring")
        # First the tokens: who reads on to a prediction then has all that it was made of.
        for tokens in self._node.take_tokens():
            if self._keep:
                self._keep(tokens)
        for sink in self._sinks:
            sink(prediction)
        self.counters["predictions"] += 1
        latency_ns = prediction.t_emit_ns - since_ns
        if self._deadline_ns and latency_ns > self._deadline_ns:
            self.counters["deadline_missed"] += 1
        if self.governor:
            self.governor(prediction, latency_ns, n_left_out)
        self._node.work()

    def _take(self, timeout_ms: float) -> None:
        for _ in self._subscriber.receive(timeout_ms):
            pass

    def _all_stopped(self, expected: Sequence[str]) -> bool:
        health = self._subscriber.health
        return all(s in health and health[s].state == "stopped" for s in expected)


class LinkReporter:
    """Publishes the health of each stream of another host: once a second, and as it changes."""

    def __init__(self, publisher: Publisher, subscriber: Subscriber) -> None:
        self._publisher, self._subscriber = publisher, subscriber
        self._said: dict[str, Health] = {}

    def beat(self) -> None:
        """Report what is due."""
        for stream, link in self._subscriber.links.items():
            now, said = link.report(self._subscriber.health), self._said.get(stream)
            late = said and now.t_publish_ns - said.t_publish_ns >= HEALTH_PERIOD_NS
            if said is None or late or now.state != said.state:
                self._said[stream] = now
                self._publisher.send(now)


def wait_for_recorder(config: Config, publisher: Publisher, stop: Stop) -> None:
    """Wait, not for long, until the recorder, if any, reads all that the node publishes for it.

    Sensors begin when the node listens, so what a first prediction was made of is recorded too.
    """
    kept = [tokens_stream(s) for s, line in config.streams.items() if line.record == "tokens"]
    missing = {f"prediction/{config.name}", *kept} if config.has_recorder else set[str]()
    deadline_s = time.monotonic() + RECORDER_S
    while missing and not stop.is_set() and time.monotonic() < deadline_s:
        missing -= {s for s in missing if publisher.wait_for_subscriber(s, 0.05, observer=True)}


def serve(config: Config, stop: Stop) -> None:
    """Run the node until told to stop. Raises ConfigError, BundleError, EngineError, BusError."""
    publisher = Publisher(config.predictions_endpoint, bound=PREDICTION_BOUND)
    output = Output(config, publisher, stop.ask)
    health = HealthReporter("node", publisher, {})
    opened = open_model(config.fusion, load_bundle(config.fusion.bundle), stop, health)
    if opened is None:
        return
    model, standby = opened
    worker = ThreadPoolExecutor(1) if config.fusion.worker else None
    wait_for_recorder(config, publisher, stop)
    # Only now: nobody would take what came while the model was loaded.
    subscriber = _subscribe(config)
    node = FusionNode(config, model, executor=worker)
    live = Live(config, node, subscriber, [output], publisher.send)
    if config.fusion.governor and config.fusion.deadline_ms:
        live.governor = output.govern(config.fusion.deadline_ms, node.reuse)
    health.counters = live.counters
    # What is there now stays: no later collection has to walk through it.
    gc.collect()
    gc.freeze()
    health.report("running")
    links = LinkReporter(publisher, subscriber)
    while not stop.is_set():
        standby.step(node)
        live.step()
        links.beat()
        if health.due:
            live.count(output.counters())
            health.report()
    standby.close()
    _finish(config, live, output, health)
    subscriber.close()
    publisher.close()


def _finish(config: Config, live: Live, output: Output, health: HealthReporter) -> None:
    """Put out what is left, and close the books."""
    output.finish()
    live.drain(list(config.sensors))
    output.close()
    live.count(output.counters())
    health.report("stopped")


def _subscribe(config: Config) -> Subscriber:
    table = {name: (config.endpoint(name), line) for name, line in config.streams.items()}
    return Subscriber(table, [table[stream][0] for stream in config.local_streams])


def main() -> int:
    """The entry of the process."""
    config = Path(sys.argv[1])
    return child.run("node", lambda stop: serve(child.read_config(config), stop))


if __name__ == "__main__":
    sys.exit(main())
