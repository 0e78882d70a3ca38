"""What processes cost: their CPU time and memory, as the kernel counts them (man 5 proc)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Of one process: seconds on a CPU since its start, and memory now and at its most."""

    cpu_s: float
    resident_bytes: int
    peak_bytes: int


def usage(pid: int) -> Usage | None:
    """What a process has cost until now; None if there is none of this number."""
    try:
        stat = (PROC / str(pid) / "stat").read_text(encoding="ascii", errors="replace")
        status = (PROC / str(pid) / "status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    lines = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    kib = {key: int(lines.get(key, "0 kB").split()[0]) for key in ("VmRSS", "VmHWM")}
    return Usage(
        cpu_s=(int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"),
        resident_bytes=kib["VmRSS"] * 1024,
        peak_bytes=kib["VmHWM"] * 1024,
    )


def usages(pids: Mapping[str, int]) -> dict[str, Usage]:
    """Of each process that lives."""
    found = {name: usage(pid) for name, pid in pids.items()}
    return {name: one for name, one in found.items() if one is not None}


def costs(
    before: Mapping[str, Usage], after: Mapping[str, Usage]
) -> dict[str, dict[str, float | int]]:
    """{process: CPU seconds between the two, and memory}, of those that lived all the time."""
    return {
        name: {
            "cpu_s": round(now.cpu_s - before[name].cpu_s, 2),
            "resident_bytes": now.resident_bytes,
            "peak_bytes": now.peak_bytes,
        }
        for name, now in after.items()
        if name in before and now.cpu_s >= before[name].cpu_s
    }
