"""What a process uses of the machine, as /proc tells it (man 5 proc)."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Usage:
    """Processor time since its start, the age of the process, and the memory it holds."""

    cpu_s: float
    age_s: float
    resident_bytes: int


def read_usage(pid: int) -> Usage | None:
    """The usage of a process of this host; None if there is none, as under pid 0."""
    folder = Path("/proc") / str(pid)
    try:
        fields = (folder / "stat").read_text(encoding="ascii", errors="replace")
        pages = int((folder / "statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError):
        return None
    after_name = fields.rpartition(")")[2].split()  # from field 3 on
    user, system, started = (int(after_name[n - 3]) for n in (14, 15, 22))
    age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - started / TICKS_PER_S
    return Usage((user + system) / TICKS_PER_S, max(age_s, 1 / TICKS_PER_S), pages * PAGE_BYTES)


class Meter:
    """The share of one processor that each process took since the last look."""

    def __init__(self) -> None:
        self._before: dict[int, Usage] = {}

    def read(self, pid: int) -> tuple[float, int] | None:
        """(share, resident bytes); the first share is that since the start of the process."""
        now = read_usage(pid)
        if now is None:
            self._before.pop(pid, None)
            return None
        before = self._before.get(pid, Usage(0.0, 0.0, 0))
        self._before[pid] = now
        took_s = now.age_s - before.age_s
        return (now.cpu_s - before.cpu_s) / took_s if took_s > 0 else 0.0, now.resident_bytes
