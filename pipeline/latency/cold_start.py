"""`sensorium bench start`: from the start of the command to the first prediction with a picture.

Whole runs of the real command, one after the other. The first only warms the file cache. The time
is divided at four moments that follow one another, so that the parts sum to the whole; and what the
node's own part consists of is measured in a fresh process, which does those steps alone.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from msgspec.structs import replace

from pipeline.bus.subscriber import Subscriber
from pipeline.child import Stop
from pipeline.config import Config
from pipeline.error import SensoriumError

LIMIT_S = 60.0
END_LIMIT_S = 10.0
POLL_MS = 2
BOUND_S = 1.5
# The parts of the way, each with the moment at which it ends.
PARTS = ("command", "node", "sensor", "prediction")
# What the node does until it listens: alone, and with nothing else to do.
ALONE = """
import time, sys
begun = time.monotonic()
import pipeline.live, onnxruntime
imported = time.monotonic()
from engines.bundle import load_bundle
bundle = load_bundle(sys.argv[1])
loaded = time.monotonic()
from engines.compiled import CompiledBundle
CompiledBundle(bundle, sys.argv[2])
opened = time.monotonic()
print(begun, imported, loaded, opened)
"""
ALONE_PARTS = ("interpreter", "imports", "bundle", "engines")
Seconds: TypeAlias = "dict[str, float]"


def bench_start(config_file: Path, config: Config, n_runs: int, stop: Stop) -> dict[str, Any]:
    """Measure; returns seconds. Raises SensoriumError where no prediction uses a camera."""
    if not config.camera:
        raise SensoriumError(f"{config_file}: has no camera, whose first picture would be measured")
    runs: list[Seconds] = []
    alone: list[Seconds] = []
    for n in range(n_runs + 1):
        if stop.is_set():
            raise SensoriumError("stopped before every start was measured")
        found = _alone(config), _start(config_file, config)
        if n:  # the first one warms the cache
            alone.append(found[0])
            runs.append(found[1])
    total = [float(sum(run.values())) for run in runs]
    return {
        "mode": "start",
        "runs": n_runs,
        "first_prediction_s": round(float(np.median(total)), 3),
        "bound_s": BOUND_S,
        "all_s": [round(seconds, 3) for seconds in total],
        "parts_s": _medians(PARTS, runs),
        "node_alone_s": _medians(ALONE_PARTS, alone),
        "backend": config.fusion.backend,
        "load_before": [round(load, 2) for load in os.getloadavg()],
    }


def _medians(parts: Sequence[str], rows: Sequence[Seconds]) -> Seconds:
    return {part: round(float(np.median([row[part] for row in rows])), 3) for part in parts}


def _alone(config: Config) -> Seconds:
    begun_s = time.monotonic()
    command = [sys.executable, "-c", ALONE, config.fusion.bundle, config.fusion.backend]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    if done.returncode:
        raise SensoriumError(f"the engines cannot be opened: {done.stderr.strip()[-300:]}")
    moments_s = [begun_s, *map(float, done.stdout.split())]
    return dict(zip(ALONE_PARTS, np.diff(moments_s), strict=True))


def _start(config_file: Path, config: Config) -> Seconds:
    """One run of the command, ended once its first prediction with a picture was read."""
    with tempfile.TemporaryDirectory(prefix="start-") as folder:
        run_dir = f"{folder}/run"
        endpoint = replace(config, run_dir=run_dir).predictions_endpoint
        own = [f"run_dir={run_dir}", "out.jsonl=-", "record.file=", "incident.directory="]
        command = [sys.executable, "-m", "pipeline.cli", "run", str(config_file)]
        for override in own:
            command += ["--set", override]
        begun_ns = time.monotonic_ns()
        with subprocess.Popen(command, stdout=subprocess.PIPE) as run:
            try:
                return _watch(run, endpoint, begun_ns)
            finally:
                run.send_signal(signal.SIGINT)
                assert run.stdout is not None
                run.stdout.close()


def _watch(run: subprocess.Popen[bytes], endpoint: str, begun_ns: int) -> Seconds:
    assert run.stdout is not None
    os.set_blocking(run.stdout.fileno(), False)
    pending, ready_ns, node_pid = b"", 0, 0
    with closing(Subscriber({}, [endpoint])) as bus:
        while time.monotonic_ns() < begun_ns + LIMIT_S * 1e9 and run.poll() is None:
            list(bus.receive(POLL_MS))
            node = bus.health.get("node")
            if not ready_ns and node and node.state == "running":
                ready_ns, node_pid = node.t_publish_ns, node.pid
                spawned_ns = _spawned_ns(node_pid)
            pending += run.stdout.read() or b""
            *lines, pending = pending.split(b"\n")
            seen_ns = time.monotonic_ns()
            captured_ns = next(filter(None, map(_captured_ns, lines)), None)
            if captured_ns and ready_ns:
                moments_ns = [begun_ns, spawned_ns, ready_ns, captured_ns, seen_ns]
                return dict(zip(PARTS, np.diff(moments_ns) / 1e9, strict=True))
    raise SensoriumError(f"no prediction used a camera within {LIMIT_S:g} s")


def _captured_ns(line: bytes) -> int | None:
    """When the picture was captured that a prediction uses; None if it uses none."""
    found = json.loads(line)
    used: Mapping[str, Any] = found.get("inputs", {})
    age_ms = next((used[stream][-1][1] for stream in used if stream.startswith("camera/")), None)
    if age_ms is None:
        return None
    wall_minus_monotonic_ns = time.time_ns() - time.monotonic_ns()
    return int(found["t"] * 1e9 - age_ms * 1e6) - wall_minus_monotonic_ns


def _spawned_ns(pid: int) -> int:
    """When a process was started, on the monotonic clock, to the kernel's 10 ms (man 5 proc)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    age_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - int(fields[19]) * 10_000_000
    return time.monotonic_ns() - age_ns


def text(found: Mapping[str, Any]) -> str:
    """The result for people."""
    parts = ", ".join(f"{name} {s:.2f}" for name, s in found["parts_s"].items())
    alone = ", ".join(f"{name} {s:.2f}" for name, s in found["node_alone_s"].items())
    return "\n".join(
        [
            f"first prediction that uses a camera: {found['first_prediction_s']:.2f} s after the"
            f" command was started (median of {found['runs']}; at most {found['bound_s']:g})",
            "  until the node is started, until it listens, until the picture, until the"
            f" prediction: {parts}",
            f"  the node alone: {alone}",
            f"  load before: {found['load_before'][0]}",
        ]
    )
