"""How each kind of fault is begun and ended, what shows it, and when the run is well again.

Faults of devices and wires are in the schedule, which the sensors read; the rest is done here,
from outside.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Protocol

from pipeline.bus.subscriber import Subscriber
from pipeline.chaos.cable import Cable
from pipeline.chaos.host import Host
from pipeline.chaos.plan import NODE, RECORDER, Fault
from pipeline.chaos.schedule import ON_WIRE
from pipeline.chaos.seen import Seen

SLOW_READ_S = 0.5  # between two looks of the slow consumer
DROPPED_AS = {"reorder": "duplicate", "duplicate": "duplicate", "corrupt": "malformed"}


class World:
    """What injections act on. `killed` are sensors; `restart` starts the hub again."""

    def __init__(
        self,
        hub: Host,
        seen: Seen,
        cables: Mapping[str, Cable],
        restart: Callable[[], None],
    ) -> None:
        self.hub, self.seen, self.cables, self.restart = hub, seen, cables, restart
        self.killed: set[tuple[str, int]] = set()


class Injection(Protocol):
    """One fault, while it is on and until the run is well again."""

    def begin(self) -> None: ...

    def step(self) -> None:
        """Called all the time until the end."""

    def end(self) -> None: ...

    def signs(self) -> list[str]:
        """What shows the fault now, to anybody who looks at the run."""

    def is_well(self, since_ns: int) -> bool:
        """Whether what was struck is in use again."""


class OnStream:
    """A fault that the stream's sensor puts into its own samples."""

    def __init__(self, world: World, fault: Fault) -> None:
        self._world, self._stream, self._kind = world, fault.stream, fault.kind

    def begin(self) -> None: ...

    def step(self) -> None: ...

    def end(self) -> None: ...

    def signs(self) -> list[str]:
        return self._world.seen.signs(self._stream)

    def is_well(self, since_ns: int) -> bool:
        return self._world.seen.is_used(self._stream, since_ns)


class OnWire(OnStream):
    """A fault in the messages: the node's ledger counts it from one report to the next."""

    def __init__(self, world: World, fault: Fault) -> None:
        super().__init__(world, fault)
        self._reason = DROPPED_AS[fault.kind]
        self._heard_ns = 0
        self._n: int | None = None  # before the first report
        self._grows = False

    def signs(self) -> list[str]:
        self._hear()
        counted = [f"ledger {self._reason}"] if self._grows else []
        return counted + super().signs()

    def _hear(self) -> None:
        health = self._world.seen.health.get(NODE)
        if health is None or health.t_publish_ns == self._heard_ns:
            return
        n = health.counters.get(f"{self._stream}.dropped.{self._reason}", 0)
        self._grows = self._n is not None and n > self._n
        self._heard_ns, self._n = health.t_publish_ns, n


class Cut(OnStream):
    """The network between the stream's host and this one lets nothing through."""

    def begin(self) -> None:
        self._world.cables[self._stream].cut()

    def end(self) -> None:
        self._world.cables[self._stream].mend()


def kill(seen: Seen, name: str) -> int:
    """End a process of the run at once; its id, or 0 if it is down, which its watch will tell."""
    process = seen.status.get(name)
    if process is None or not process.pid:
        return 0
    with suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)
    return process.pid


class Kill(OnStream):
    """kill -9 of a sensor."""

    def begin(self) -> None:
        self._world.killed.add((self._stream, kill(self._world.seen, self._stream)))


class KillRecorder(Kill):
    """kill -9 of the recorder, which begins another file."""

    def is_well(self, since_ns: int) -> bool:
        return recorder_writes(self._world.seen, since_ns)


def recorder_writes(seen: Seen, since_ns: int) -> bool:
    """Whether the recorder has reported messages after a time."""
    health, process = seen.health.get(RECORDER), seen.status.get(RECORDER)
    if health is None or process is None or health.pid != process.pid:
        return False
    is_up = health.state == "running" and health.t_publish_ns >= since_ns
    return is_up and health.counters.get("messages", 0) > 0


class KillNode:
    """kill -9 of the node: the run ends and says why; it is started again, as a service is."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._may_start = False

    def begin(self) -> None:
        self._may_start = kill(self._world.seen, NODE) > 0

    def step(self) -> None:
        if self._may_start and self._world.hub.exit_code is not None:
            self._may_start = False
            self._world.restart()

    def end(self) -> None: ...

    def signs(self) -> list[str]:
        code = self._world.hub.exit_code
        if code is None:
            return []
        named = [line for line in self._world.hub.said if "the fusion node" in line]
        return [f"run ends with {code}" + (", names the node" if named else "")] if code else []

    def is_well(self, since_ns: int) -> bool:
        newest = self._world.seen.prediction
        fresh = newest is not None and newest.tick_ns > since_ns and not newest.missing
        return fresh and not self._may_start


class SlowConsumer(OnStream):
    """A reader beside the node that looks only now and then; its own ledger shows what it lost."""

    def __init__(self, world: World, fault: Fault) -> None:
        super().__init__(world, fault)
        self._reader: Subscriber | None = None
        self._next_s, self._n, self._grows = 0.0, 0, False

    def begin(self) -> None:
        config = self._world.hub.config
        line = config.streams[self._stream]
        self._reader = Subscriber({self._stream: (config.endpoint(self._stream), line)})

    def step(self) -> None:
        if self._reader is None or time.monotonic() < self._next_s:
            return
        self._next_s = time.monotonic() + SLOW_READ_S
        for _ in self._reader.receive(0):
            pass
        n = self._reader.ledgers[self._stream].dropped.total()
        self._grows, self._n = n > self._n, n

    def end(self) -> None:
        if self._reader:
            self._reader.close()
        self._reader, self._grows = None, False

    def signs(self) -> list[str]:
        return (["reader's ledger"] if self._grows else []) + super().signs()


def injection_of(world: World, fault: Fault) -> Injection:
    """What injects a fault."""
    from pipeline.chaos.disk import FullDisk

    if fault.kind in ON_WIRE:
        return OnWire(world, fault)
    match fault.kind, fault.stream:
        case "kill", "node":
            return KillNode(world)
        case "kill", "recorder":
            return KillRecorder(world, fault)
        case "kill", _:
            return Kill(world, fault)
        case "slow_consumer", _:
            return SlowConsumer(world, fault)
        case "network_cut", _:
            return Cut(world, fault)
        case "full_disk", _:
            return FullDisk(world, fault)
    return OnStream(world, fault)
