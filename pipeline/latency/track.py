"""Slices and arrows in Chrome's trace event format, which Perfetto opens.

A process has named tracks. Slices of one track do not overlap: one that would goes to a lane of
its own beside it. Times are microseconds from the beginning of the trace.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

TraceEvent: TypeAlias = "dict[str, Any]"


class Place(NamedTuple):
    """Where a slice lies, for an arrow to begin or end in it."""

    pid: int
    tid: int
    ts: float


@dataclass(slots=True)
class Lane:
    """One row of the picture; `until_ns` is when its last slice ends."""

    tid: int
    until_ns: int = -1


@dataclass(slots=True)
class Tracks:
    """Gives numbers to processes and tracks; `taken` are the events made since the last call."""

    start_ns: int
    _pids: dict[str, int] = field(default_factory=dict)
    _lanes: dict[tuple[str, str], list[Lane]] = field(default_factory=dict)
    _events: list[TraceEvent] = field(default_factory=list)
    _n_lanes: int = 0

    def take(self) -> list[TraceEvent]:
        """The events since the last call."""
        taken, self._events = self._events, []
        return taken

    def slice(
        self, track: tuple[str, str], name: str, span_ns: tuple[int, int], **args: Any
    ) -> Place:
        """Something that lasted from one time to another, on a (process, track)."""
        begin_ns = max(span_ns[0], self.start_ns)  # what began before is cut off
        end_ns = max(span_ns[1], begin_ns)
        pid = self._pid(track[0])
        tid = self._tid(track, pid, begin_ns, end_ns)
        ts = self._us(begin_ns)
        duration_us = round(self._us(end_ns) - ts, 3)
        event = {"ph": "X", "name": name, "cat": track[1], "pid": pid, "tid": tid}
        self._events.append(event | {"ts": ts, "dur": duration_us, "args": args})
        return Place(pid, tid, ts)

    def arrow(self, name: str, number: int, places: list[Place]) -> None:
        """An arrow through slices, from the first to the last."""
        steps = ["s", *["t"] * (len(places) - 2), "f"]
        for step, (pid, tid, ts) in zip(steps, places, strict=True):
            event = {"ph": step, "name": name, "cat": "sample", "id": number}
            bound = {"bp": "e"} if step == "f" else {}
            self._events.append(event | {"pid": pid, "tid": tid, "ts": ts} | bound)

    def _us(self, t_ns: int) -> float:
        return (t_ns - self.start_ns) / 1000

    def _pid(self, process: str) -> int:
        if process not in self._pids:
            self._pids[process] = len(self._pids) + 1
            self._name("process_name", self._pids[process], 0, process)
        return self._pids[process]

    def _tid(self, track: tuple[str, str], pid: int, begin_ns: int, end_ns: int) -> int:
        lanes = self._lanes.setdefault(track, [])
        lane = next((lane for lane in lanes if lane.until_ns <= begin_ns), None)
        if lane is None:
            self._n_lanes += 1
            lane = Lane(self._n_lanes)
            lanes.append(lane)
            beside = f" ({len(lanes)})" if len(lanes) > 1 else ""
            self._name("thread_name", pid, lane.tid, track[1] + beside)
        lane.until_ns = end_ns
        return lane.tid

    def _name(self, what: str, pid: int, tid: int, name: str) -> None:
        args = {"name": name}
        self._events.append({"ph": "M", "name": what, "pid": pid, "tid": tid, "args": args})
