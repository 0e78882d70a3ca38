"""Whole runs on a backend that is not there yet, and on one that cannot be."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from tests.system.run import SIMULATED, Run, assert_every_tick, sensorium

ON_OPENVINO = SIMULATED + '[fusion]\nbackend = "openvino"\nwhile_building = "onnxruntime"\n'


@pytest.mark.slow
def test_a_run_serves_while_its_backend_loads_and_then_swaps(tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="needs the extra: openvino")
    with Run(tmp_path, ON_OPENVINO) as run:
        first = run.next()
        assert first["backend"]["requested"] == "openvino"
        assert first["backend"]["active"] == "onnxruntime"
        assert first["backend"]["why"] == "loading"
        run.until(lambda prediction: prediction["backend"]["active"] == "openvino")
        for _ in range(10):
            run.next()
        backends = [prediction["backend"] for prediction in run.predictions]
        assert backends[-1] == {"requested": "openvino", "active": "openvino"}
        assert sum(a["active"] != b["active"] for a, b in pairwise(backends)) == 1
        assert_every_tick(run.predictions[5:])


@pytest.mark.parametrize("backend", ["tensorrt", "tensorrt-rtx"])
@pytest.mark.parametrize("how", [[], ["--set", "fusion.while_building=onnxruntime"]])
@pytest.mark.slow
def test_without_a_gpu_a_run_fails_at_its_start_in_one_line(
    tmp_path: Path, backend: str, how: list[str]
) -> None:
    path = tmp_path / "hub.toml"
    path.write_text(SIMULATED)
    done = sensorium(tmp_path, "run", str(path), "--set", f"fusion.backend={backend}", *how)
    assert done.returncode
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR process=node")]
    assert len(errors) == 1
    assert "install the NVIDIA driver" in errors[0] or "choose another backend" in errors[0]
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
