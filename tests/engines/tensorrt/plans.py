"""What must hold of every graph that is shipped or exported, in a precision, without a GPU."""

from __future__ import annotations

import onnx

from engines.bundle import Bundle
from engines.options import EngineOptions
from engines.tensorrt.binding import load
from engines.tensorrt.build import build
from engines.tensorrt.plan_source import read_graph
from engines.tensorrt.timing import Timing
from engines.variant import graph_path, graph_roles
from tests.engines.tensorrt_operator import PARSED

BACKEND, OPSET = "tensorrt-rtx", 18


def check_plans(bundle: Bundle, precision: str) -> None:
    """Opset 18, operators that TensorRT 10.3 parses, and a plan by TensorRT-RTX's real builder."""
    for role in graph_roles(bundle.manifest):
        path = graph_path(bundle, role, BACKEND, precision)
        graph = read_graph(path, EngineOptions(precision=precision))
        check_graph(graph, f"{bundle.folder.name}/{path.name} {precision}")


def check_graph(graph: bytes, what: str) -> None:
    model = onnx.load_model_from_string(graph)
    assert {entry.version for entry in model.opset_import if not entry.domain} == {OPSET}, what
    assert {node.op_type for node in model.graph.node} <= PARSED, what
    assert len(build(load(BACKEND), graph, (), Timing(None), lambda _: None)) > 10_000, what
