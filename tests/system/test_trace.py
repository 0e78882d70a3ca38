"""The trace of a run that is going: real processes, and the arrows of samples through three."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import pytest

from tests.system.run import SIMULATED, Run, sensorium

pytestmark = pytest.mark.slow


def test_a_sample_is_followed_through_three_processes(tmp_path: Path) -> None:
    out = tmp_path / "trace.json"
    with Run(tmp_path, SIMULATED) as run:
        run.until(lambda p: len(p["inputs"]) == 4)
        config = str(tmp_path / "hub.toml")
        done = sensorium(tmp_path, "trace", config, "-o", str(out), "--duration", "2")
        assert done.returncode == 0, done.stderr
    events = json.loads(out.read_text())["traceEvents"]
    processes = {e["pid"]: e["args"]["name"] for e in events if e["name"] == "process_name"}
    ways: dict[int, list[tuple[float, str]]] = defaultdict(list)
    for event in events:
        if event["ph"] in "stf":
            ways[event["id"]].append((event["ts"], processes[event["pid"]]))
    cameras = [way for way in ways.values() if way[0][1] == "camera/room"]
    assert len(cameras) > 10
    for way in cameras:
        assert [name for _, name in way] == ["camera/room", "node", "node", "node", "reader"]
        assert way == sorted(way)
    assert min(e["ts"] for e in events if "ts" in e) >= 0
