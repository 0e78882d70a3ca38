"""A run at full rate grows in nothing: memory of each process, descriptors, files.

Memory is what is of a process alone or of its rings: anonymous and shared pages (Pss_Anon,
Pss_Shmem and swap of /proc/PID/smaps_rollup), not the code, whose pages the kernel keeps as it
likes. After the warm-up (a third, at most five minutes) its slope is that of Theil and Sen over
the medians of thirty blocks, with Sen's 95 % interval.

The bound is 1 MB an hour. A short run cannot tell so little from nothing: there it is 0.3 MB in the
time that was watched, and the C library gives freed memory back at once (`MALLOC_`), because what
it keeps for later is several MB at first, by the scene.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from tests.slope import theil_sen
from tests.system.run import Run, left_behind

CONFIG = Path(__file__).parents[2] / "deploy" / "config" / "benchmark.toml"
LIMIT_MB_H = 1.0
RESOLUTION_MB = 0.3
MAX_WARM_UP_S = 300.0
LONG_S = 600.0
PERIOD_S = 0.5
FIELDS = ("Pss_Anon:", "Pss_Shmem:", "SwapPss:")


class Usage(NamedTuple):
    """One look at a process."""

    t_s: float
    memory_mb: float
    descriptors: int


def look(pid: int) -> Usage:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    kb = sum(int(line.split()[1]) for line in lines if line.startswith(FIELDS))
    return Usage(time.monotonic(), kb * 1024 / 1e6, len(os.listdir(f"/proc/{pid}/fd")))


def watch(pids: dict[str, int], seconds: float) -> dict[str, list[Usage]]:
    """Look at all of them, for so long."""
    seen: dict[str, list[Usage]] = {name: [] for name in pids}
    end_s, pause = time.monotonic() + seconds, threading.Event()
    while time.monotonic() < end_s:
        for name, pid in pids.items():
            seen[name].append(look(pid))
        pause.wait(PERIOD_S)
    return seen


def report(name: str, seen: list[Usage], limit_mb_h: float) -> str:
    """What is wrong with a process, or nothing; its figures go to stderr."""
    t_h = np.array([usage.t_s for usage in seen]) / 3600
    memory_mb = np.array([usage.memory_mb for usage in seen])
    descriptors = np.array([usage.descriptors for usage in seen])
    slope = theil_sen(t_h, memory_mb)
    sys.stderr.write(
        f"{name}: {memory_mb[-1]:.2f} MB, {slope.estimate:+.2f} MB/h"
        f" (95 %: {slope.lower:+.2f} to {slope.upper:+.2f}),"
        f" descriptors {descriptors.min()} to {descriptors.max()}\n"
    )
    third = len(seen) // 3
    if slope.estimate > limit_mb_h:
        return f"{name}: memory grows by {slope.estimate:.1f} MB/h"
    # A request or a look into a folder opens one for a moment.
    if descriptors[:third].min() != descriptors[-third:].min():
        return f"{name}: the number of its descriptors changes"
    return ""


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_nothing_grows(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole_s = 60 * request.config.getoption("--soak-minutes")
    if whole_s < LONG_S:
        monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "65536")
        monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "65536")
    warm_up_s = min(whole_s / 3, MAX_WARM_UP_S)
    watched_s = whole_s - warm_up_s
    lines = tmp_path / "predictions.jsonl"
    with Run(tmp_path, CONFIG.read_text("utf-8"), "--set", f"out.jsonl={lines}") as run:
        threading.Event().wait(warm_up_s)
        before = run.status()
        pids = {name: process["pid"] for name, process in before.items()}
        pids["supervisor"] = run.process.pid
        files = sorted(os.listdir(tmp_path / "sensorium" / "benchmark"))
        seen = watch(pids, watched_s)
        after = run.status()
        assert files == sorted(os.listdir(tmp_path / "sensorium" / "benchmark"))
    assert left_behind(tmp_path) == []
    limit_mb_h = max(LIMIT_MB_H, RESOLUTION_MB / (watched_s / 3600))
    sys.stderr.write(f"\nwatched for {watched_s:.0f} s, limit {limit_mb_h:.1f} MB/h\n")
    wrong = [report(name, seen[name], limit_mb_h) for name in pids]
    assert not [line for line in wrong if line]
    assert {n: p["pid"] for n, p in before.items()} == {n: p["pid"] for n, p in after.items()}
    n_predictions = [x["node"]["counters"]["predictions"] for x in (before, after)]
    assert n_predictions[1] - n_predictions[0] > 0.97 * 30 * watched_s
