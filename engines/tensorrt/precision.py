"""An ONNX graph in half precision, with the casts in the graph: inputs and outputs stay float32.

What would overflow or round away in float16 stays in float32: logarithms and all that comes before
them (the front end of a sound encoder), powers, roots and normalisations.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from engines.error import EngineError

LOG = "Log"
NAMES = """
    Exp GroupNormalization InstanceNormalization LayerNormalization Log LogSoftmax Pow Range
    Reciprocal ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMean ReduceSumSquare Sqrt
"""
SINGLE = frozenset(NAMES.split())
QUANTIZED = frozenset({"QuantizeLinear", "DequantizeLinear"})
# Inputs that are float32 whatever the other inputs are: roi and scales.
ALWAYS_SINGLE = {"Resize": (1, 2)}
LARGEST = float(np.finfo(np.float16).max)
SMALLEST = float(np.finfo(np.float16).smallest_normal)


def to_fp16(content: bytes) -> bytes:
    """The graph of an ONNX file in half precision, or as it is if it has half precision already.

    Raises EngineError for a graph with branches, with quantized values or with values too large.
    """
    onnx = _onnx()
    try:
        model = onnx.load_model_from_string(content)
        if any(tensor.data_type == onnx.TensorProto.FLOAT16 for tensor in model.graph.initializer):
            return content
        model = onnx.inliner.inline_local_functions(model)
        model = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    except (DecodeError, onnx.shape_inference.InferenceError, ValueError) as error:
        raise EngineError(f"it is no graph: {str(error).strip().splitlines()[0]}") from error
    _check(model.graph)
    _Conversion(onnx, model.graph).run()
    onnx.checker.check_model(model)
    converted: bytes = model.SerializeToString()
    return converted


def _onnx() -> Any:
    try:
        import onnx
        import onnx.inliner
        import onnx.shape_inference
    except ImportError as error:
        raise EngineError(
            "precision fp16: the bundle has no fp16 files, and to make them onnx is needed:"
            " pip install onnx"
        ) from error
    return onnx


def _check(graph: Any) -> None:
    for node in graph.node:
        if any(attribute.HasField("g") for attribute in node.attribute):
            raise EngineError(f"operator {node.op_type} ({node.name}): a graph in it stays fp32")
        if node.op_type in QUANTIZED:
            raise EngineError("it is quantized: its precision is int8")


def _before_logarithms(nodes: Iterable[Any]) -> set[str]:
    """The values that a logarithm is made of."""
    needed: set[str] = set()
    for node in reversed(list(nodes)):  # they are sorted: what is made of a value comes after it
        if node.op_type == LOG or needed.intersection(node.output):
            needed.update(node.input)
    return needed


class _Conversion:
    """Rewrites one graph: every value has one type, and who wants the other gets a cast of it."""

    def __init__(self, onnx: Any, graph: Any) -> None:
        self._onnx, self._graph = onnx, graph
        self._half, self._single = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT
        typed = (*graph.value_info, *graph.input, *graph.output)
        self._floats = {v.name for v in typed if v.type.tensor_type.elem_type == self._single}
        self._constants = dict(self._float_constants())
        self._floats |= self._constants.keys()
        self._types = {value.name: self._single for value in graph.input}
        self._made_by: dict[str, int] = {}
        self._early = _before_logarithms(graph.node)
        self._nodes: list[Any] = []
        self._tensors: dict[str, Any] = {}
        self._casts: dict[tuple[str, int], str] = {}

    def run(self) -> None:
        """Rewrite the graph."""
        outputs = {v.name for v in self._graph.output if v.name in self._floats}
        for node in self._graph.node:
            if node.op_type == "Constant" and node.output[0] in self._constants:
                continue  # where it is used it is an initializer
            self._rewrite(node, outputs)
        self._replace(self._graph.node, self._nodes)
        others = [t for t in self._graph.initializer if t.name not in self._constants]
        self._replace(self._graph.initializer, [*others, *self._tensors.values()])
        del self._graph.value_info[:]  # their types were those of before

    def _rewrite(self, node: Any, outputs: set[str]) -> None:
        wanted = self._single if self._is_kept(node) else self._half
        always = ALWAYS_SINGLE.get(node.op_type, ())
        for index, name in enumerate(node.input):
            if name in self._floats:
                node.input[index] = self._as(name, self._single if index in always else wanted)
        self._nodes.append(node)
        if wanted == self._half:
            self._make_half(node)
        for index, name in enumerate(node.output):
            if name not in self._floats:
                continue
            self._types[name] = self._made_by[name] = wanted
            if name in outputs and wanted == self._half:  # the world sees float32
                node.output[index] = f"{name}_half"
                self._add_cast(node.output[index], name, self._single)
                self._casts[name, self._half] = node.output[index]
                self._types[name] = self._single

    def _is_kept(self, node: Any) -> bool:
        """Whether a node stays in float32."""
        if node.op_type in SINGLE or self._early.intersection(node.output):
            return True
        # What keeps a divisor from zero is nothing in float16.
        if any(name in self._constants and self._is_tiny(name) for name in node.input):
            return True
        divisor = node.input[1] if node.op_type == "Div" else ""
        return bool(self._made_by.get(divisor) == self._single)

    def _is_tiny(self, name: str) -> bool:
        array = self._onnx.numpy_helper.to_array(self._constants[name])
        return bool(array.size == 1 and 0 < abs(array.item()) < SMALLEST)

    def _make_half(self, node: Any) -> None:
        """Change what an attribute says of the type of the output."""
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == self._single:
                attribute.i = self._half
            if attribute.HasField("t") and attribute.t.data_type == self._single:
                attribute.t.CopyFrom(self._tensor(attribute.t.name, attribute.t, self._half))

    def _as(self, name: str, wanted: int) -> str:
        """The name of a value in the wanted type."""
        if name in self._constants:
            typed = f"{name}_half" if wanted == self._half else name
            if typed not in self._tensors:
                self._tensors[typed] = self._tensor(typed, self._constants[name], wanted)
            return typed
        if self._types[name] == wanted:
            return name
        if (name, wanted) not in self._casts:
            typed = f"{name}_half" if wanted == self._half else f"{name}_single"
            self._add_cast(name, typed, wanted)
            self._casts[name, wanted] = typed
        return self._casts[name, wanted]

    def _add_cast(self, name: str, typed: str, wanted: int) -> None:
        make = self._onnx.helper.make_node
        self._nodes.append(make("Cast", [name], [typed], name=f"cast_{typed}", to=wanted))

    def _tensor(self, name: str, tensor: Any, wanted: int) -> Any:
        array = self._onnx.numpy_helper.to_array(tensor)
        if wanted == self._half:
            if array.size and not np.abs(array).max() <= LARGEST:
                raise EngineError(f"{tensor.name or name}: {np.abs(array).max():.3g} is no fp16")
            array = array.astype(np.float16)
        return self._onnx.numpy_helper.from_array(array, name)

    def _float_constants(self) -> Iterator[tuple[str, Any]]:
        for tensor in self._graph.initializer:
            if tensor.data_type == self._single:
                yield tensor.name, tensor
        for node in self._graph.node:
            if node.op_type != "Constant":
                continue
            for attribute in node.attribute:
                if attribute.name == "value" and attribute.t.data_type == self._single:
                    yield node.output[0], attribute.t

    @staticmethod
    def _replace(field: Any, items: list[Any]) -> None:
        kept = [type(item).FromString(item.SerializeToString()) for item in items]
        del field[:]
        field.extend(kept)
