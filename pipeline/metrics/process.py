"""The process that a Prometheus server scrapes: one more reader, that nobody waits for.

Started by the supervisor with the argument CONFIG.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, disable_created_metrics, start_http_server

from pipeline import child
from pipeline.bus.publisher import Publisher
from pipeline.bus.subscriber import Subscriber
from pipeline.child import HealthReporter, Stop
from pipeline.config import Config
from pipeline.crew import health_endpoints
from pipeline.error import ConfigError
from pipeline.metrics.flow import Flow
from pipeline.metrics.plan import METRICS
from pipeline.metrics.tally import Tally
from pipeline.outlet import Prometheus
from pipeline.prediction import Prediction
from pipeline.stream import Text

MAX_WAIT_MS = 250
BOUND = 1024
NICE = 10  # who senses and predicts goes first


class Metrics:
    """All metrics of one run, as it is heard on the bus."""

    def __init__(self, config: Config) -> None:
        self.registry = CollectorRegistry()
        self._flow = Flow(self.registry)
        self._tally = Tally(config.streams)
        self.registry.register(self._tally)
        self._backend = Gauge(
            "sensorium_backend_info",
            "The backend that was asked for, and the one that runs.",
            ["requested", "active"],
            registry=self.registry,
        )
        self._shown: tuple[str, str] | None = None
        table = {f"prediction/{config.name}": _line(config)}
        self._bus = Subscriber(table, list(health_endpoints(config)))
        self.n_observed = 0

    def step(self, timeout_ms: float) -> None:
        """Take in what comes."""
        for sample in self._bus.receive(timeout_ms):
            if isinstance(sample, Prediction):
                self._flow.observe(sample)
                self._show(sample.backend.get("requested", ""), sample.backend.get("active", ""))
                self.n_observed += 1
        self._tally.hear(self._bus.health)

    def _show(self, *backend: str) -> None:
        if backend != self._shown:
            self._backend.clear()
            self._backend.labels(*backend).set(1)
            self._shown = backend[0], backend[1]

    def close(self) -> None:
        """Let go of the bus."""
        self._bus.close()


def _line(config: Config) -> tuple[str, Text]:
    return config.predictions_endpoint, Text(source="", bound=BOUND)


def serve(config: Config, keys: Prometheus, stop: Stop) -> None:
    """Be scraped until told to stop. Raises ConfigError, BusError."""
    os.nice(NICE)
    disable_created_metrics()
    with Publisher(config.metrics_endpoint) as publisher:
        health = HealthReporter(METRICS, publisher, {"observed": 0})
        metrics = Metrics(config)
        host, port = keys.address
        try:
            server, thread = start_http_server(port, host, metrics.registry)
        except OSError as error:
            raise ConfigError(
                f"out.prometheus.listen {keys.listen}: {error.strerror}; choose another port"
            ) from error
        health.report("running")
        while not stop.is_set():
            metrics.step(MAX_WAIT_MS)
            health.counters["observed"] = metrics.n_observed
            health.beat()
        server.shutdown()
        server.server_close()
        thread.join()
        metrics.close()
        health.report("stopped")


def _work(path: Path, stop: Stop) -> None:
    config = child.read_config(path)
    assert config.out.prometheus is not None, "the supervisor starts no such process"
    serve(config, config.out.prometheus, stop)


def main() -> int:
    """The entry of the process."""
    path = Path(sys.argv[1])
    return child.run(METRICS, lambda stop: _work(path, stop))


if __name__ == "__main__":
    sys.exit(main())
