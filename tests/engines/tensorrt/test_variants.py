"""Graphs of other precisions, as `sensorium export` makes them, are built as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

pytest.importorskip("onnx", reason="needs the extra: tensorrt-rtx")
pytest.importorskip("tensorrt_rtx_bindings", reason="needs the extra: tensorrt-rtx")

from engines.bundle import load_bundle
from engines.gate import TOLERANCE
from engines.options import EngineOptions
from engines.quantise import halve, quantise
from engines.tensorrt.plan_source import read_graph
from tests.engines.tensorrt.plans import check_graph

HOME = load_bundle("home")


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp16", "int8"])
@pytest.mark.parametrize("role", HOME.manifest.specs)
def test_a_variant_passes_the_gate_and_is_built(role: str, precision: str, tmp_path: Path) -> None:
    arrays = dict(np.load(HOME.path("probe")))
    target = tmp_path / f"{role}-{precision}.onnx"
    if precision == "int8":
        quantise(HOME.path(role), target, [{role: arrays[role]}])
    else:
        halve(HOME.path(role), target)
    graph = read_graph(target, EngineOptions(precision=precision))
    assert graph == target.read_bytes()
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    tokens = np.asarray(session.run(None, {role: arrays[role]})[0])
    reference = arrays[f"{role}.tokens"]
    error = np.abs(tokens - reference).max() / max(1, np.abs(reference).max())
    assert 0 < error < TOLERANCE[precision]
    check_graph(graph, f"{role} {precision}")
