"""Under what conditions was measured: without them a number means nothing."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from engines.bundle import find_bundle, sha256
from pipeline.config import Config

GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
PACKAGES = (
    "sensorium",
    "numpy",
    "onnxruntime",
    "opencv-python-headless",
    "pyzmq",
    "openvino",
    "torch",
)
SOURCE = Path(__file__).parent


def conditions(config: Config) -> dict[str, Any]:
    """What the machine, the programs and the model were; null where the machine does not tell."""
    return {
        **machine(),
        "backend": config.fusion.backend,
        "bundle": config.fusion.bundle,
        "bundle_sha256": sha256(find_bundle(config.fusion.bundle) / "bundle.json"),
    }


def machine() -> dict[str, Any]:
    """The machine and the programs alone."""
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "cpu": _cpu_model(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "cores_allowed": len(os.sched_getaffinity(0)),
        "load_before": [round(load, 2) for load in os.getloadavg()],
        "governor": _text(GOVERNOR),
        "gpu": _said("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"),
        "power_mode": _said("nvpmodel", "-q"),  # of a Jetson
        "kernel": platform.release(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
        "omp_num_threads": os.environ.get("OMP_NUM_THREADS"),
        "commit": _commit(),
    }


def _cpu_model() -> str | None:
    """Of the first core; ARM kernels tell the board instead."""
    for line in (_text(Path("/proc/cpuinfo")) or "").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return (_text(Path("/proc/device-tree/model")) or "").strip("\0") or None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def _said(*command: str) -> str | None:
    """What a program of this machine says in one line, if it is there."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return " ".join(done.stdout.split()) or None if done.returncode == 0 else None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The commit of a checkout, marked if files were changed since; an installation has none."""
    top = _git("rev-parse", "--show-toplevel")
    if top is None or Path(top) not in SOURCE.parents:
        return None
    commit = _git("rev-parse", "HEAD")
    return f"{commit} and changes" if commit and _git("status", "--porcelain", "-uno") else commit


def _git(*arguments: str) -> str | None:
    command = ["git", "-C", str(SOURCE), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
