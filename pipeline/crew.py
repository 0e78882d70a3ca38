"""Which processes a run has: made from its configuration, in the order in which they start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pipeline.bus.remote import relay_name
from pipeline.config import Config
from pipeline.home import plan as home
from pipeline.metrics import plan as metrics
from pipeline.record import plan
from pipeline.record.clock import ClockPair
from pipeline.spawn import Child
from pipeline.stream import Text

NODE = "node"
SENSOR = ("sensors.process",)


class Crew:
    """The children of one supervisor, by their part; none is started yet."""

    def __init__(
        self, config: Config, config_path: Path, clocks: ClockPair, sensor: Sequence[str] = SENSOR
    ) -> None:
        """`sensor` is the module that runs a sensor, with its first arguments."""
        path = str(config_path)
        self.node = Child(NODE, ["pipeline.live", path])
        pair = (str(clocks.monotonic_ns), str(clocks.wall_ns))
        recorder = Child(plan.RECORDER, ["pipeline.record.process", path, *pair])
        self.recorder = recorder if config.has_recorder else None
        self.sensors: Mapping[str, Child] = {
            stream: Child(
                stream,
                [*sensor, path, stream],
                stdin=isinstance(line, Text) and line.source == "stdin",
            )
            for stream, line in config.sensors.items()
        }
        self.relays: Mapping[str, Child] = {
            relay_name(stream): Child(relay_name(stream), ["pipeline.bus.relay", path, stream])
            for stream, line in config.local_streams.items()
            if line.remote is not None
        }
        self.outlets: list[Child] = []
        if home.is_wanted(config):
            self.outlets.append(Child(home.HOME, ["pipeline.home.process", path]))
        if metrics.is_wanted(config):
            self.outlets.append(Child(metrics.METRICS, ["pipeline.metrics.process", path]))

    def __iter__(self) -> Iterator[Child]:
        """All of them, the node first, which takes longest to start."""
        yield self.node
        if self.recorder:
            yield self.recorder
        yield from self.sensors.values()
        yield from self.relays.values()
        yield from self.outlets


def health_endpoints(config: Config) -> Iterator[str]:
    """Where the processes of a run report."""
    yield config.predictions_endpoint
    yield config.recorder_endpoint
    if home.is_wanted(config):
        yield config.home_endpoint
    if metrics.is_wanted(config):
        yield config.metrics_endpoint
    for stream, line in config.local_streams.items():
        yield config.endpoint(stream)
        if line.remote is not None:
            yield config.relay_endpoint(stream)
