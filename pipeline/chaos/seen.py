"""What anybody beside a run can see of it: predictions, healths, status. Nothing else is judged."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.bus.subscriber import Subscriber
from pipeline.chaos.asking import Asking
from pipeline.chaos.host import Host
from pipeline.control import ProcessStatus
from pipeline.crew import health_endpoints
from pipeline.prediction import Prediction
from pipeline.sample import Health
from pipeline.stream import Text

FINE = ("running", "ended")
PREDICTIONS = Text(source="", bound=4096)


class Seen:
    """The newest of everything, and all ticks. `captured` is {(stream, pid): its last count}."""

    def __init__(self, host: Host) -> None:
        self._config = config = host.config
        self._asking = Asking(config.control_endpoint)
        self._bus = Subscriber(
            {f"prediction/{config.name}": (config.predictions_endpoint, PREDICTIONS)},
            list(health_endpoints(config)),
        )
        self.prediction: Prediction | None = None
        self.ticks_ns: list[int] = []
        self.captured: dict[tuple[str, int], int] = {}

    def look(self, timeout_ms: float) -> None:
        """Take in what comes within this time, and ask for the status now and then."""
        self.listen(timeout_ms)
        self._asking.step()

    @property
    def status(self) -> Mapping[str, ProcessStatus]:
        """{name: how the supervisor sees it}."""
        return self._asking.newest

    def listen(self, timeout_ms: float) -> None:
        """Take in what comes within this time."""
        for sample in self._bus.receive(timeout_ms):
            if isinstance(sample, Prediction):
                self.prediction = sample
                self.ticks_ns.append(sample.tick_ns)
        for stream in self._config.streams:
            health = self.health.get(stream)
            if health and "captured" in health.counters:
                self.captured[stream, health.pid] = health.counters["captured"]

    def forget(self) -> None:
        """All but the ticks: the run has ended, and another one is started."""
        self.prediction = None
        self._asking.forget()
        self.captured.clear()
        self._bus.health.clear()

    @property
    def health(self) -> Mapping[str, Health]:
        """The newest health of each process."""
        return self._bus.health

    def signs(self, stream: str) -> list[str]:
        """Everything that says now that something is wrong with a stream, the clearest first."""
        found = []
        if health := self.health.get(stream):
            found += [f"fault {fault}" for fault in self.faults(stream)]
            found += [] if health.state in FINE else [f"health {health.state}"]
        if status := self.status.get(stream):
            found += [] if status.state in FINE else [f"status {status.state}"]
        if self.prediction and stream in self.prediction.missing:
            found.append("missing")
        return found

    def faults(self, stream: str) -> list[str]:
        """What the detectors say is wrong with a stream."""
        health = self.health.get(stream)
        return list(health.faults) if health else []

    def is_used(self, stream: str, since_ns: int) -> bool:
        """Whether the newest prediction has a sample that was captured after a time.

        Text is rare: there it is enough that an event is in use.
        """
        newest = self.prediction
        if newest is None or newest.tick_ns < since_ns or stream not in newest.inputs:
            return False
        return stream.startswith("text/") or newest.inputs[stream][-1][1] >= since_ns

    @property
    def is_complete(self) -> bool:
        """Whether all streams are used and all processes run."""
        states = {process.state for process in self.status.values()}
        return bool(self.prediction and not self.prediction.missing and states <= set(FINE))

    def close(self) -> None:
        """Look no more."""
        self._bus.close()
        self._asking.close()
