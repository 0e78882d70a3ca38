"""A disk that is full for the recorder alone: its files may not grow any more (RLIMIT_FSIZE).

For a program this is as a full disk is: a write fails. The limit is that of one process; nothing
else on the host has less room.
"""

from __future__ import annotations

import resource
from contextlib import suppress
from pathlib import Path

from pipeline.chaos.injection import OnStream, World, recorder_writes
from pipeline.chaos.plan import RECORDER, Fault
from pipeline.error import ControlError
from pipeline.log.form import LogError
from pipeline.log.reader import LogReader
from pipeline.sample import Health

SAID = ".recorded"
FIRST_BYTES = 4096  # of a recorder that is started while the disk is full


class FullDisk(OnStream):
    """From the beginning of the fault no recorder of the run can write; at its end one is started.

    The recorder gives up and the run goes on. Whoever makes room says `sensorium unmute recorder`.
    """

    def __init__(self, world: World, fault: Fault) -> None:
        super().__init__(world, fault)
        self._is_full = False
        self._limited: set[int] = set()
        self._file: Path | None = None
        self._first: Health | None = None

    def begin(self) -> None:
        self._is_full = True
        file = Path(self._world.hub.config.record.file)
        found = file.parent.glob(f"*{file.suffix}")
        self._file = max(found, key=lambda path: path.stat().st_mtime_ns, default=None)
        self._first = self._world.seen.health.get(RECORDER)
        self._limit(self._file.stat().st_size if self._file else FIRST_BYTES)

    def step(self) -> None:
        if self._is_full:
            self._limit(FIRST_BYTES)

    def end(self) -> None:
        self._is_full = False
        with suppress(ControlError):  # then the recorder does not come back, and its watch says so
            self._world.hub.unmute(RECORDER)

    def signs(self) -> list[str]:
        health = self._world.seen.health.get(RECORDER)
        if health and self._first and health.pid == self._first.pid:
            self._first = health
        return super().signs()

    def is_well(self, since_ns: int) -> bool:
        return recorder_writes(self._world.seen, since_ns)

    def open_books(self) -> dict[str, str]:
        """The streams of which the file holds more or less than its recorder says, and how much.

        Where there was no room for the end of the file, nothing in it counts before a repair.
        """
        if self._file is None or self._first is None:
            return {RECORDER: "there is no file"}
        counters = self._first.counters
        said = {k.removesuffix(SAID): n for k, n in counters.items() if k.endswith(SAID)}
        try:
            with LogReader(self._file) as log:
                found = {stream: line.n_messages for stream, line in log.streams.items()}
        except LogError:
            found = {}
        return {
            stream: f"{n} said to be recorded, {found.get(stream, 0)} in the file"
            for stream, n in said.items()
            if n != found.get(stream, 0)
        }

    def _limit(self, size_bytes: int) -> None:
        status = self._world.seen.status.get(RECORDER)
        if status is None or not status.pid or status.pid in self._limited:
            return
        with suppress(ProcessLookupError):
            hard = resource.prlimit(status.pid, resource.RLIMIT_FSIZE)[1]
            resource.prlimit(status.pid, resource.RLIMIT_FSIZE, (size_bytes, hard))
            self._limited.add(status.pid)
