"""The runs behind a plan: the hub, and beside it another "host" for streams whose network is cut.

Such a stream is handed on by a relay over loopback TCP, with a cable of ours in between.
"""

from __future__ import annotations

import socket
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import msgspec

from pipeline.bus.endpoint import clock_endpoint, port_of
from pipeline.chaos.plan import RECORDER, Plan
from pipeline.config import Config
from pipeline.loader import check

LOCALHOST = "tcp://127.0.0.1"
# The rest is for the house: what faults bring about is for nobody but the report.
KEPT = ("name", "camera", "microphone", "text", "readings", "simulator", "fusion")


def hosts(
    plan: Plan, config: Config, folder: Path
) -> tuple[Config, Config | None, dict[str, dict[int, int]]]:
    """The hub, the other host if a network is cut, and {stream: {port here: port there}}."""
    table = {key: value for key, value in _table(config).items() if key in KEPT}
    table["run_dir"] = str(folder / "hub")
    if any(fault.stream == RECORDER for fault in plan.fault):
        # One for each time that the hub is started.
        table["record"] = {"file": str(folder / "log{time}.mcap")}
    hub = check(table, "the plan's hub")
    cut = [stream for stream in hub.sensors if _is_cut(plan, stream)]
    if not cut:
        return hub, None, {}
    return _split(hub, cut, folder)


def _is_cut(plan: Plan, stream: str) -> bool:
    return any(f.kind == "network_cut" and f.stream == stream for f in plan.fault)


def _split(
    config: Config, cut: Collection[str], folder: Path
) -> tuple[Config, Config, dict[str, dict[int, int]]]:
    hub, far = _table(config), _table(config)
    far |= {"name": "far", "run_dir": str(folder / "far"), "fusion": {"tick_hz": 1.0}, "record": {}}
    cables = {}
    for stream in config.streams:
        kind, name = stream.split("/", 1)
        if stream not in cut:
            del far[kind][name]
            continue
        here, there = (f"{LOCALHOST}:{free_ports()}" for _ in range(2))
        far[kind][name] |= {"remote": {"endpoint": there}, "record": "none", "endpoint": ""}
        hub[kind][name] |= {"source": "remote", "endpoint": here}
        ends = [(here, there), (clock_endpoint(here), clock_endpoint(there))]
        cables[stream] = {port_of(a): port_of(b) for a, b in ends}
    return check(hub, "the plan's hub"), check(far, "the plan's other host"), cables


def _table(config: Config) -> dict[str, Any]:
    """The configuration as its file would say it."""
    table: dict[str, Any] = _without_none(msgspec.to_builtins(config))
    return table


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_none(x) for key, x in value.items() if x is not None}
    return value


def free_ports() -> int:
    """The first of two neighbouring ports of the loopback interface that nobody uses now."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port
