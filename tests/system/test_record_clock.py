"""A wall clock that is set back while a run is recorded."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from pipeline.log.reader import LogReader
from pipeline.prediction import Prediction
from tests.pipeline.logged import read
from tests.system.recorded import RECORDED, STREAMS, complete, of, recorder
from tests.system.run import Run, sensorium

# In every process: once a file is there, the wall clock stands an hour earlier.
CLOCK = """
import os, time
folder = os.path.dirname(__file__)
open(os.path.join(folder, f"loaded-{os.getpid()}"), "w").close()
def stepped(clock, hour):
    return lambda: clock() - hour * os.path.exists(os.path.join(folder, "step"))
time.time, time.time_ns = stepped(time.time, 3600), stepped(time.time_ns, 3600 * 10**9)
"""


@pytest.mark.slow
def test_a_wall_clock_that_is_set_back_an_hour_changes_neither_order_nor_replay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, path = tmp_path / "clock", tmp_path / "x.mcap"
    clock.mkdir()
    (clock / "sitecustomize.py").write_text(CLOCK)
    monkeypatch.setenv("PYTHONPATH", str(clock))
    begun_ns, wall_ns = time.monotonic_ns(), time.time_ns()
    with Run(tmp_path, RECORDED, "--record", str(path)) as run:
        run.until(complete)
        (clock / "step").touch()
        stepped_ns = time.monotonic_ns()
        assert (clock / f"loaded-{recorder(run)['pid']}").exists()
        n_before = len(run.predictions)
        run.until(lambda _: len(run.predictions) > n_before + 10)
        run.stop()
    with LogReader(path) as reader:
        assert wall_ns < reader.header.wall_ns < time.time_ns()
        assert begun_ns < reader.header.monotonic_ns < stepped_ns
    samples = read(path)
    times_ns = [sample.t_publish_ns for sample in samples]
    assert times_ns == sorted(times_ns)
    assert begun_ns < times_ns[0] < stepped_ns < times_ns[-1] < time.monotonic_ns()
    for stream in (*STREAMS, "prediction/home"):
        seqs = [sample.seq for sample in of(samples, stream)]
        assert seqs == list(range(len(seqs)))
    found = json.loads(sensorium(tmp_path, "replay", str(path), "--json").stdout)
    assert found["predictions"] == sum(isinstance(s, Prediction) for s in samples) > 10
    assert found["lacking"] == {}
    assert found["differences"]["inputs"] == found["differences"]["scores"] == 0
