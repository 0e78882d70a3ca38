"""What the home hears of a run over MQTT: predictions as states, events, and what goes on."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from pipeline.config import Config
from pipeline.event.event import Event
from pipeline.home.discovery import discovery, topics_of
from pipeline.home.link import ONLINE, Link
from pipeline.outlet import Mqtt
from pipeline.prediction import Prediction

REFRESHES = 3  # of each state, before it expires


class Herald:
    """Speaks over one link. Raises ConfigError."""

    def __init__(self, config: Config, keys: Mqtt, wall_minus_monotonic_ns: int) -> None:
        self._topics = topics_of(config, keys)
        self._offset_ns = wall_minus_monotonic_ns
        told = discovery(config.name, self._topics, config.event, keys.expire_after_s)
        self._discovery = msgspec.json.encode(told)
        self._active: dict[str, bool] = {}
        self._changed_ns: dict[str, int] = {}
        self._period_ns = round(1e9 / keys.state_hz)
        self._refresh_ns = keys.expire_after_s * 1_000_000_000 // REFRESHES
        self._next_ns = self._next_refresh_ns = 0
        self._newest: Prediction | None = None
        self.link = Link(keys, self._topics.availability)

    def predicted(self, prediction: Prediction) -> None:
        """Keep the newest prediction; it is said when it is time."""
        self._newest = prediction

    def happened(self, event: Event) -> None:
        """Promise an event, and say that it goes on or is over."""
        payload = msgspec.json.encode(event.report(self._offset_ns))
        self.link.promise(self._topics.event(event.name), payload)
        self._changed_ns[event.name] = event.t_publish_ns
        self._set(event.name, event.phase == "start")

    def counted(self, counters: Mapping[str, int], t_ns: int) -> None:
        """Learn from the node's health at `t_ns` what goes on, as after a restart of ours."""
        for key, value in counters.items():
            kind, _, rest = key.partition(".")
            name, _, what = rest.partition(".")
            news = t_ns > self._changed_ns.get(name, 0) and self._active.get(name) != bool(value)
            if kind == "event" and what == "active" and news:
                self._set(name, bool(value))

    def step(self, now_ns: int) -> None:
        """Say what is due. Raises BusError."""
        if self.link.take_new():
            self._greet()
        self.link.step()
        if self._newest is None or now_ns < self._next_ns:
            return
        self._next_ns = now_ns + self._period_ns
        self.link.state(self._topics.state, msgspec.json.encode(self._state(self._newest)))
        if now_ns >= self._next_refresh_ns:
            self._next_refresh_ns = now_ns + self._refresh_ns
            for name, active in self._active.items():
                self.link.state(self._topics.active(name), _word(active), retain=True)
        self._newest = None  # a state that nothing renews expires

    def _greet(self) -> None:
        """Say everything that a home needs that hears of this run for the first time."""
        if self._topics.discovery:
            self.link.keep(self._topics.discovery, self._discovery)
        self.link.keep(self._topics.availability, ONLINE)
        for name, active in self._active.items():
            self.link.keep(self._topics.active(name), _word(active))
        self._next_ns = 0

    def _set(self, name: str, active: bool) -> None:
        self._active[name] = active
        self.link.keep(self._topics.active(name), _word(active))

    def _state(self, prediction: Prediction) -> dict[str, object]:
        told = prediction.report(self._offset_ns)
        latency_ms = {stream: stages["total"] for stream, stages in told["latency_ms"].items()}
        return {
            "t": told["t"],
            "situation": told["top"],
            "score": told["scores"].get(told["top"]),
            "scores": told["scores"],
            "weights": told["weights"],
            "missing": told["missing"],
            "latency_ms": latency_ms,
            "events": {name: _word(active).decode() for name, active in self._active.items()},
        }


def _word(active: bool) -> bytes:
    return b"ON" if active else b"OFF"
