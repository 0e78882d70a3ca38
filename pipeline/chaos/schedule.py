"""When which stream is disturbed: what `chaos` writes, and the sensors that it starts read.

The folder is made for one run, private, and known to that run's sensors only.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

SETUP, SCHEDULE = "setup.json", "schedule.json"
AT_SOURCE = ("unplug", "freeze", "black", "silence", "noise", "clock_step")
ON_WIRE = ("reorder", "duplicate", "corrupt")


class Setup(Struct, frozen=True, kw_only=True):
    """What the sensors must know from the start: a log to take samples from, and its beginning."""

    log: str
    origin_ns: int


class Span(Struct, frozen=True, kw_only=True):
    """A fault on a stream, in times of the monotonic clock."""

    kind: str
    stream: str
    begin_ns: int
    end_ns: int
    step_ns: int = 0


def write_setup(folder: Path, setup: Setup) -> None:
    """Leave the set-up before the run is started."""
    (folder / SETUP).write_bytes(msgspec.json.encode(setup))


def read_setup(folder: Path) -> Setup:
    """What `write_setup` left."""
    return msgspec.json.decode((folder / SETUP).read_bytes(), type=Setup)


def write_schedule(folder: Path, spans: Sequence[Span]) -> None:
    """Let the sensors know, all at once."""
    made = folder / f"{SCHEDULE}.new"
    made.write_bytes(msgspec.json.encode(spans))
    os.replace(made, folder / SCHEDULE)


class Schedule:
    """The faults of one stream; none until the schedule has been written."""

    def __init__(self, folder: Path, stream: str) -> None:
        self._path, self._stream = folder / SCHEDULE, stream
        self._spans: list[Span] | None = None

    def at(self, now_ns: int, kinds: Collection[str]) -> Span | None:
        """The fault of one of these kinds that is on at a time."""
        if self._spans is None:
            self._spans = self._read()
        for span in self._spans or ():
            if span.kind in kinds and span.begin_ns <= now_ns < span.end_ns:
                return span
        return None

    def _read(self) -> list[Span] | None:
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return None
        spans = msgspec.json.decode(data, type=list[Span])
        return [span for span in spans if span.stream == self._stream]
