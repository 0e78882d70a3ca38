"""Small ONNX graphs, as tests want them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnx

Array = Any
FLOAT, UINT8 = onnx.TensorProto.FLOAT, onnx.TensorProto.UINT8


def node(kind: str, inputs: str, output: str, *, outputs: str = "", **attributes: Any) -> Any:
    """An operator, named by its output; by the first, where `outputs` are several."""
    made = (outputs or output).split()
    return onnx.helper.make_node(kind, inputs.split(), made, name=f"node_{output}", **attributes)


def graph(
    nodes: Sequence[Any],
    shape: Sequence[int | str],
    constants: Mapping[str, Array] | None = None,
    *,
    out_shape: Sequence[int | str] | None = None,
    kind: int = FLOAT,
) -> bytes:
    """The ONNX file of a graph from `in` to `out`, float32, of the same shape unless it is said."""
    tensor = onnx.helper.make_tensor_value_info
    made = onnx.helper.make_graph(
        list(nodes),
        "graph",
        [tensor("in", kind, shape)],
        [tensor("out", FLOAT, out_shape or shape)],
        [onnx.numpy_helper.from_array(a, name) for name, a in (constants or {}).items()],
    )
    opset = onnx.helper.make_opsetid("", 18)
    model = onnx.helper.make_model(made, opset_imports=[opset], ir_version=10)
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content
