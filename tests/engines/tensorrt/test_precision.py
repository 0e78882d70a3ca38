"""Half precision in the graph: right values, casts where they belong, float32 outside."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest

onnx = pytest.importorskip("onnx", reason="needs the extra: tensorrt-rtx")

from engines.bundle import load_bundle  # noqa: E402
from engines.error import EngineError  # noqa: E402
from engines.tensorrt.precision import to_fp16  # noqa: E402
from engines.variant import graph_roles  # noqa: E402
from tests.engines.tensorrt.graphs import graph, node  # noqa: E402

HOME = load_bundle("home")
HALF, SINGLE = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT
MAX_ERROR = 2e-3  # of what tokens and scores may be at most
WEIGHT = np.ones((4, 4), np.float32)


def run(content: bytes, feeds: dict[str, Any]) -> dict[str, Any]:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return dict(zip((o.name for o in session.get_outputs()), session.run(None, feeds), strict=True))


def types(content: bytes) -> dict[str, int]:
    """{value: its type} of every value."""
    model = onnx.shape_inference.infer_shapes(onnx.load_model_from_string(content))
    values = (*model.graph.value_info, *model.graph.output, *model.graph.input)
    return {value.name: value.type.tensor_type.elem_type for value in values}


@pytest.mark.parametrize("role", graph_roles(HOME.manifest))
def test_graphs_of_a_bundle_compute_the_same_to_half_precision(role: str) -> None:
    content = HOME.path(role).read_bytes()
    converted = to_fp16(content)
    assert len(converted) < 0.7 * len(content)
    arrays = dict(np.load(HOME.path("probe")))
    prefix = "" if role in HOME.manifest.specs else f"{role}."
    inputs = onnx.load_model_from_string(content).graph.input
    outputs = run(converted, {value.name: arrays[prefix + value.name] for value in inputs})
    for name, output in outputs.items():
        reference = arrays[f"{role}.{name}"]
        assert output.dtype == np.float32
        assert np.abs(output - reference).max() <= MAX_ERROR * max(1, np.abs(reference).max())


def test_a_graph_that_is_half_already_stays_as_it_is() -> None:
    once = to_fp16(HOME.path("readings").read_bytes())
    assert to_fp16(once) == once


def test_all_before_a_logarithm_stays_single() -> None:
    """The energies of a loud sound are far more than half precision holds."""
    nodes = [
        node("Mul", "in in", "power"),
        node("Add", "power floor", "some"),
        node("Log", "some", "log"),
        node("MatMul", "log weight", "out"),
    ]
    content = graph(nodes, [1, 4], {"floor": np.float32(1e-6), "weight": WEIGHT})
    converted = to_fp16(content)
    sound = np.array([[1e4, 3e4, 0, 1]], np.float32)
    assert np.allclose(
        run(converted, {"in": sound})["out"], run(content, {"in": sound})["out"], 1e-2
    )
    kinds = types(converted)
    assert {kinds[name] for name in ("power", "some", "log")} == {SINGLE}
    assert kinds["out_half"] == HALF


def test_what_keeps_a_divisor_from_zero_stays_single() -> None:
    nodes = [
        node("ReduceSum", "in axis", "sum", keepdims=1),
        node("Max", "sum least", "divisor"),
        node("Div", "in divisor", "out"),
    ]
    constants = {"axis": np.array([1]), "least": np.array([[1e-9]], np.float32)}
    converted = to_fp16(graph(nodes, [1, 4], constants))
    assert np.isfinite(run(converted, {"in": np.zeros((1, 4), np.float32)})["out"]).all()


def test_an_output_that_is_used_inside_too_is_cast_once() -> None:
    nodes = [
        node("MatMul", "in weight", "middle"),
        node("Relu", "middle", "out"),
        node("MatMul", "out weight", "unused"),
    ]
    converted = to_fp16(graph(nodes, [1, 4], {"weight": WEIGHT}))
    casts = [n for n in onnx.load_model_from_string(converted).graph.node if n.op_type == "Cast"]
    assert len(casts) == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no graph", "it is no graph"),
        (
            graph([node("Mul", "in big", "out")], [1], {"big": np.array([1e6], np.float32)}),
            "big: 1e.06 is no fp16",
        ),
        (
            graph(
                [
                    node("QuantizeLinear", "in scale zero", "q"),
                    node("DequantizeLinear", "q scale zero", "out"),
                ],
                [1],
                {"scale": np.float32(0.1), "zero": np.int8(0)},
            ),
            "its precision is int8",
        ),
    ],
)
def test_what_cannot_be_half_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(EngineError, match=said):
        to_fp16(content)
