"""What Prometheus learns from the health of each process; made anew at each scrape."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pipeline.sample import Health
from pipeline.stream import kind_of

SILENCE_NS = 3_000_000_000  # health comes once a second
# What a sensor process counts as lost before it was published.
LOST_AT_SENSOR = ("late", "malformed", "overflow", "oversized", "refused", "skipped", "superseded")
NODE_TOTALS: Mapping[str, tuple[str, str]] = {
    "predictions": ("predictions", "Predictions made."),
    "ticks_skipped": ("ticks_skipped", "Ticks that came too late and were left out."),
    "deadline_missed": ("deadline_missed", "Predictions later than fusion.deadline_ms."),
}
HOME_OUTCOMES: Mapping[str, str] = {
    "mqtt.acknowledged": "acknowledged",
    "mqtt.dropped": "dropped",
    "mqtt.states": "state",
    "mqtt.states_unsent": "state_unsent",
}


class Tally(Collector):
    """The newest health of each process as metrics. `hear` is for another thread than `collect`."""

    def __init__(self, streams: Iterable[str]) -> None:
        self._streams = list(streams)
        self._healths: Mapping[str, Health] = {}
        self._pids: dict[str, int] = {}
        self._restarts: dict[str, int] = {}

    def hear(self, healths: Mapping[str, Health]) -> None:
        """Take in what was reported last."""
        for name, health in healths.items():
            before = self._pids.get(name, health.pid)
            self._restarts[name] = self._restarts.get(name, 0) + (before != health.pid)
            self._pids[name] = health.pid
        self._healths = dict(healths)

    def collect(self) -> Iterator[Metric]:
        """All families."""
        healths = self._healths
        yield self._up(healths)
        yield _faults(healths)
        yield self._messages(healths)
        yield _dropped(healths, self._streams)
        yield self._drift(healths)
        yield self._sound_drift(healths)
        yield _counter("restarts", "Processes started again.", ["process"], dict(self._restarts))
        if node := healths.get("node"):
            yield from _node(node.counters)
        if home := healths.get("home"):
            yield from _home(home.counters)

    def _up(self, healths: Mapping[str, Health]) -> Metric:
        now_ns = time.monotonic_ns()
        found = {s: _is_up(s, healths.get(s), now_ns) for s in self._streams}
        return _gauge(
            "sensor_up", "Whether a sensor delivers, or waits for events.", "sensor", found
        )

    def _messages(self, healths: Mapping[str, Health]) -> Metric:
        """Captured is what the sensor published; delivered and dropped are the node's counts."""
        family = CounterMetricFamily(
            "sensorium_messages",
            "Samples captured by the sensor, and delivered to or dropped before the node.",
            labels=["sensor", "outcome"],
        )
        node = healths["node"].counters if "node" in healths else {}
        for stream in self._streams:
            if stream in healths:
                captured = healths[stream].counters.get("captured", 0)
                family.add_metric([stream, "captured"], captured)
            dropped = sum(n for key, n in node.items() if key.startswith(f"{stream}.dropped."))
            family.add_metric([stream, "delivered"], node.get(f"{stream}.delivered", 0))
            family.add_metric([stream, "dropped"], dropped)
        return family

    def _drift(self, healths: Mapping[str, Health]) -> Metric:
        counters = {
            stream: healths[stream].counters for stream in self._streams if stream in healths
        }
        found = {s: c["drift_ppb"] / 1000 for s, c in counters.items() if "drift_ppb" in c}
        text = "How fast the clock of another host runs away from ours."
        return _gauge("clock_drift_ppm", text, "sensor", found)

    def _sound_drift(self, healths: Mapping[str, Health]) -> Metric:
        counters = {s: healths[s].counters for s in self._streams if s in healths}
        found = {s: float(c["drift_ppm"]) for s, c in counters.items() if "drift_ppm" in c}
        text = "How fast the clock of a sound card runs, against that of its host."
        return _gauge("sound_clock_drift_ppm", text, "sensor", found)


def _is_up(stream: str, health: Health | None, now_ns: int) -> float:
    """A source of events is up while it waits for the first."""
    if health is None or now_ns - health.t_publish_ns > SILENCE_NS:
        return 0
    waits = kind_of(stream) == "text" and health.state == "starting"
    return float(health.state == "running" or waits)


def _faults(healths: Mapping[str, Health]) -> Metric:
    family = GaugeMetricFamily(
        "sensorium_sensor_fault", "1 for each fault of a stuck sensor.", labels=["sensor", "fault"]
    )
    for name, health in healths.items():
        for fault in health.faults:
            family.add_metric([name, fault], 1)
    return family


def _dropped(healths: Mapping[str, Health], streams: Iterable[str]) -> Metric:
    family = CounterMetricFamily(
        "sensorium_dropped",
        "Samples lost: at which hop, and why.",
        labels=["sensor", "hop", "reason"],
    )
    for stream in streams:
        for hop, reason, number in _losses(stream, healths):
            family.add_metric([stream, hop, reason], number)
    return family


def _losses(stream: str, healths: Mapping[str, Health]) -> Iterator[tuple[str, str, int]]:
    """(hop, reason, count) of one stream."""
    if stream in healths:
        counters = healths[stream].counters
        yield from (("sensor", r, counters[r]) for r in LOST_AT_SENSOR if r in counters)
    for hop, process in (("node", "node"), ("recorder", "recorder"), ("relay", f"{stream}.relay")):
        prefix = "dropped." if hop == "relay" else f"{stream}.dropped."
        counters = healths[process].counters if process in healths else {}
        for key, number in counters.items():
            if key.startswith(prefix):
                yield hop, key.removeprefix(prefix), number


def _node(counters: Mapping[str, int]) -> Iterator[Metric]:
    for key, (name, text) in NODE_TOTALS.items():
        yield CounterMetricFamily(f"sensorium_{name}", text, value=counters.get(key, 0))
    active, started = _by_event(counters, "active"), _by_event(counters, "started")
    yield _gauge("event_active", "Whether an event goes on.", "event", active)
    yield _counter("events", "Events begun.", ["event"], started)


def _by_event(counters: Mapping[str, int], what: str) -> dict[str, int]:
    """{event: count} of the keys event.NAME.what."""
    parts = {key: key.split(".") for key in counters if key.startswith("event.")}
    return {p[1]: counters[key] for key, p in parts.items() if len(p) == 3 and p[2] == what}


def _home(counters: Mapping[str, int]) -> Iterator[Metric]:
    if "mqtt.connected" in counters:
        connected = counters["mqtt.connected"]
        yield GaugeMetricFamily(
            "sensorium_mqtt_connected", "Whether the broker answers.", value=connected
        )
        said = {outcome: counters.get(key, 0) for key, outcome in HOME_OUTCOMES.items()}
        yield _counter("mqtt_messages", "Messages to the broker.", ["outcome"], said)
    sent = {k.partition(".")[2]: n for k, n in counters.items() if k.startswith("commands.")}
    yield _counter("commands", "Commands that events asked for.", ["outcome"], sent)


def _gauge(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"sensorium_{name}", text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _counter(name: str, text: str, labels: list[str], values: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(f"sensorium_{name}", text, labels=labels)
    for key, value in values.items():
        family.add_metric([key], value)
    return family
