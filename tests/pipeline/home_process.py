"""The process that speaks to the home, beside a test that publishes in the place of the node."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline import child
from pipeline.bus.publisher import Publisher
from pipeline.config import Config
from pipeline.loader import check
from pipeline.output import Output
from pipeline.sample import Health, health_stream
from pipeline.spawn import Child
from tests.parts import wait_until
from tests.pipeline.messages import prediction

LIMIT_S = 20.0
RULE = {"name": "fall", "label": "fall", "min_duration_s": 0.2, "cool_down_s": 5}


def configured(folder: Path, **tables: Any) -> Config:
    """A checked configuration of the run "home" whose directory lies in `folder`."""
    base = {"name": "home", "run_dir": str(folder / "run"), "text": {"a": {"source": "external"}}}
    return check({**base, "event": [RULE], **tables}, "hub.toml")


class Node:
    """Publishes predictions with the scores that the test wants, and their events, as a node."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.publisher = Publisher(config.predictions_endpoint, bound=4096)
        self.output = Output(config, self.publisher, lambda: None)
        self._tick_ns = time.monotonic_ns()

    def wait_for_readers(self, *, events: bool = True) -> None:
        """Until a reader is there for predictions and health, and for events."""
        topics: set[bytes] = set()
        wanted = {b"\x01prediction/home\0", b"\x01health/"}
        if events:
            wanted |= {f"\x01event/{rule.name}\0".encode() for rule in self._config.event}

        def found() -> bool:
            while self.publisher._socket.poll(0):
                topics.add(self.publisher._socket.recv())
            return wanted <= topics

        wait_until(found, LIMIT_S)

    def predict(self, *scores: float, missing: tuple[str, ...] = ()) -> None:
        """One prediction a score, 100 ms apart by their ticks, not in time."""
        for score in scores:
            self._tick_ns += 100_000_000
            made = prediction(self._tick_ns, {"fall": score, "quiet": 1 - score}, missing=missing)
            self.output(made)

    def report(self, counters: Mapping[str, int] | None = None) -> None:
        """Report the node's health, with the counters of the events."""
        now_ns = time.monotonic_ns()
        health = Health(
            stream=health_stream("node"),
            seq=0,
            t_capture_ns=now_ns,
            t_publish_ns=now_ns,
            process="node",
            pid=os.getpid(),
            state="running",
            counters=dict(self.output.counters() if counters is None else counters),
        )
        self.publisher.send(health)


@contextmanager
def speaking(config: Config, name: str = "home") -> Iterator[tuple[Node, Child]]:
    """A node, and the process `home` or `metrics` that hears it, from when it listens."""
    node = Node(config)
    path = config.directory / "run.json"
    child.write_config(config, path)
    process = Child(name, [f"pipeline.{name}.process", str(path)])
    process.start()
    try:
        node.wait_for_readers(events=name == "home")
        yield node, process
    finally:
        process.send(signal.SIGTERM)
        process.wait(time.monotonic() + LIMIT_S)
        node.publisher.close()
