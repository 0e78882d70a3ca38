"""Runs a plan: starts the run, does each fault in its time, ends the run, counts what is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from pipeline.chaos.books import Accounts
from pipeline.chaos.cable import Cable
from pipeline.chaos.disk import FullDisk
from pipeline.chaos.host import STOP_S, Host, orphans
from pipeline.chaos.injection import World, injection_of
from pipeline.chaos.memory import Memory
from pipeline.chaos.plan import Fault, Plan
from pipeline.chaos.report import broken, longest_gap, missed
from pipeline.chaos.schedule import AT_SOURCE, ON_WIRE, Setup, Span, write_schedule, write_setup
from pipeline.chaos.seen import Seen
from pipeline.chaos.topology import hosts
from pipeline.chaos.watch import Watch
from pipeline.child import Stop
from pipeline.config import Config
from pipeline.error import SensoriumError

START_S = 45.0  # so long the run may take until its first complete prediction
REST_S = 6.0  # between two rounds of a plan
LOOK_MS = 20
MEMORY_S = 0.5  # between two looks at the memory
LAST_WORDS_S = 0.3


class Experiment:
    """One plan in one folder, which is private and empty. Raises SensoriumError."""

    def __init__(self, plan: Plan, config: Config, folder: Path) -> None:
        self._plan, self._folder = plan, folder
        hub, far, cables = hosts(plan, config, folder)
        self._hub = Host(hub, folder)
        self._far = Host(far, folder) if far else None
        self._stack = ExitStack()
        self._seen = Seen(self._hub)
        self._stack.callback(self._seen.close)
        found = {stream: Cable(ports) for stream, ports in cables.items()}
        for cable in found.values():
            self._stack.callback(cable.close)
        self._world = World(self._hub, self._seen, found, self._restart)
        self._memory, self._next_memory_s = Memory(), 0.0
        self._watches: list[Watch] = []
        self._accounts = Accounts(self._hub.config, self._seen)
        self._begun_ns = self._ended_ns = 0
        self._fatal = ""
        self._false_alarms: dict[str, float] = {}  # {stream and fault: when first, in s}

    def run(
        self, minutes: float | None, stop: Stop, advance: Callable[[float], None]
    ) -> dict[str, Any]:
        """Do all faults, over and over for so many minutes; returns what `--json` prints."""
        with self._stack:
            write_setup(self._folder, Setup(log=self._plan.log, origin_ns=time.monotonic_ns()))
            try:
                self._start(stop)
                self._do(self.rounds(minutes), stop, advance)
            finally:
                self._end()
        return self._result()

    def rounds(self, minutes: float | None) -> list[Fault]:
        """The faults of all rounds that fit; at least those of one."""
        round_s = self._plan.length_s + REST_S
        n_rounds = max(1, int((minutes or 0.0) * 60 / round_s))
        return [
            replace(fault, at_s=fault.at_s + n * round_s)
            for n in range(n_rounds)
            for fault in sorted(self._plan.fault, key=lambda fault: fault.at_s)
        ]

    def _start(self, stop: Stop) -> None:
        for host in (self._far, self._hub):
            if host:
                host.start()
        deadline_s = time.monotonic() + START_S
        while not (self._seen.is_complete or stop.is_set()):
            self._seen.look(LOOK_MS)
            if self._hub.exit_code is not None:
                raise SensoriumError(f"the run ended at its start: {'; '.join(self._hub.said)}")
            if time.monotonic() > deadline_s:
                newest = self._seen.prediction
                lacking = ", ".join(newest.missing) if newest else "a prediction"
                raise SensoriumError(f"the run has not become complete: it lacks {lacking}")

    def _do(self, faults: Sequence[Fault], stop: Stop, advance: Callable[[float], None]) -> None:
        self._begun_ns = origin_ns = time.monotonic_ns()
        bounds, world = self._plan.bounds, self._world
        self._watches = [Watch(f, injection_of(world, f), origin_ns, bounds) for f in faults]
        in_sensors = [w for w in self._watches if w.fault.kind in AT_SOURCE + ON_WIRE]
        write_schedule(self._folder, [_span(watch) for watch in in_sensors])
        while not (stop.is_set() or all(watch.is_over for watch in self._watches)):
            self._seen.look(LOOK_MS)
            self._accounts.open()
            self._look_at_memory()
            now_ns = time.monotonic_ns()
            for watch in self._watches:
                watch.step(now_ns)
            self._look_for_false_alarms(now_ns)
            if self._hub.exit_code is not None:
                said = "; ".join(self._hub.said[-3:])
                self._fatal = f"the run ended with exit code {self._hub.exit_code}: {said}"
                return
            advance((now_ns - origin_ns) / 1e9)
        if stop.is_set():
            self._fatal = "the plan was stopped before its end"

    def _look_for_false_alarms(self, now_ns: int) -> None:
        """Note what a detector says of a stream that nothing has befallen."""
        for stream in self._hub.config.streams:
            if not any(watch.covers(stream, now_ns) for watch in self._watches):
                for fault in self._seen.faults(stream):
                    at_s = (now_ns - self._begun_ns) / 1e9
                    self._false_alarms.setdefault(f"{stream} {fault}", round(at_s, 1))

    def _restart(self) -> None:
        """Start the hub again after its node was killed; its sensors begin to count anew."""
        self._hub.result()
        self._accounts.close(None, self._world.killed)
        self._world.killed.clear()
        self._seen.forget()
        self._hub.start()

    def _look_at_memory(self) -> None:
        now_s = time.monotonic()
        if now_s < self._next_memory_s:
            return
        self._next_memory_s = now_s + MEMORY_S
        pids = {name: process.pid for name, process in self._seen.status.items() if process.pid}
        self._memory.sample(now_s, {"supervisor": self._hub.pid, **pids})

    def _end(self) -> None:
        """End the other host first, so that the hub hears its last count."""
        self._ended_ns = time.monotonic_ns()
        for host in (self._far, self._hub):
            if host is None:
                continue
            host.stop()
            deadline_s = time.monotonic() + STOP_S
            while host.exit_code is None and time.monotonic() < deadline_s:
                self._seen.listen(LOOK_MS)
            result = host.result()
            self._seen.listen(LAST_WORDS_S * 1000)
            if host is self._hub:
                self._accounts.close(result, self._world.killed)

    def _result(self) -> dict[str, Any]:
        hosts_here = [host for host in (self._hub, self._far) if host]
        tick_hz = self._hub.config.tick_hz
        period_ns = round(1e9 / tick_hz) if tick_hz else 0
        ticks_ns = [t for t in self._seen.ticks_ns if self._begun_ns <= t <= self._ended_ns]
        result: dict[str, Any] = {
            "faults": [self._line(watch, ticks_ns, period_ns) for watch in self._watches],
            "orphans": len(orphans(self._folder)),
            "left_behind": [name for host in hosts_here for name in host.left_behind()],
            "false_alarms": self._false_alarms,
            "predictions": len(ticks_ns),
            "seconds": round((self._ended_ns - self._begun_ns) / 1e9, 3),
            "longest_gap_periods": longest_gap(ticks_ns, period_ns, self._watches),
            "memory_slope_mb_h": self._memory.slopes(),
        }
        found = broken(result, self._watches, self._plan.bounds)
        return result | {"broken": [self._fatal, *found] if self._fatal else found}

    def _line(self, watch: Watch, ticks_ns: Sequence[int], period_ns: int) -> dict[str, Any]:
        fault = watch.fault
        end_ns = watch.recovered_ns or watch.end_ns
        apart = self._accounts.of(fault.stream, watch.begin_ns)
        if isinstance(watch.injection, FullDisk):
            apart = watch.injection.open_books()
        return {
            "kind": fault.kind,
            "stream": fault.stream,
            "at_s": round(fault.at_s, 3),
            "for_s": fault.for_s,
            "signal": watch.signal,
            "detect_s": watch.detect_s,
            "recover_s": watch.recover_s,
            "ticks_missed": missed(ticks_ns, period_ns, watch.begin_ns, end_ns),
            "memory_slope_mb_h": self._memory.slope(watch.begin_ns / 1e9, end_ns / 1e9),
            "ledger_closed": not apart,
            "ledger": apart,
        }


def _span(watch: Watch) -> Span:
    fault = watch.fault
    return Span(
        kind=fault.kind,
        stream=fault.stream,
        begin_ns=watch.begin_ns,
        end_ns=watch.end_ns,
        step_ns=round(fault.step_s * 1e9),
    )
