"""Graphs of another precision, made of a bundle's fp32 graphs. Needs the package onnx.

int8 is explicit: QuantizeLinear and DequantizeLinear, symmetric, zero point 0, a scale a channel of
the weights, and no int32 bias, as TensorRT from 10.3 on takes it. Only products are quantised:
sums, norms and softmax stay fp32, since they cost little time and much accuracy.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt

from engines.error import EngineError

Feeds = Mapping[str, npt.NDArray[Any]]
QUANTISED = ("Conv", "MatMul", "Gemm")
FULL = ("Log", "Exp", "Pow", "Sqrt", "Reciprocal", "LayerNormalization", "Softmax")  # of fp16


def quantise(source: Path, target: Path, feeds: Iterable[Feeds]) -> None:
    """Write an int8 graph, calibrated with inputs as they are at run time. Raises EngineError."""
    try:
        from onnxruntime import quantization
        from onnxruntime.quantization import CalibrationDataReader
    except ImportError as error:
        raise _lacking() from error

    class Reader(CalibrationDataReader):
        """One input after the other."""

        def __init__(self) -> None:
            self._feeds: Iterator[Feeds] = iter(feeds)

        def get_next(self) -> Any:
            found = next(self._feeds, None)
            return None if found is None else dict(found)

    logging.getLogger("onnxruntime").setLevel(logging.ERROR)
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # it advises, by the root logger, what is not meant for users
    try:
        quantization.quantize_static(
            str(source),
            str(target),
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=list(QUANTISED),
            per_channel=True,
            activation_type=quantization.QuantType.QInt8,
            weight_type=quantization.QuantType.QInt8,
            extra_options={
                "ActivationSymmetric": True,
                "WeightSymmetric": True,
                "QuantizeBias": False,
                "AddQDQPairToWeight": True,
            },
        )
    finally:
        root.setLevel(level)


def halve(source: Path, target: Path) -> None:
    """Write a graph that computes in fp16 between fp32 inputs and outputs. Raises EngineError."""
    try:
        import onnx
        from onnxruntime.transformers.float16 import (
            DEFAULT_OP_BLOCK_LIST,
            convert_float_to_float16,
        )
    except ImportError as error:
        raise _lacking() from error
    model = onnx.load(str(source))
    blocked = sorted({*DEFAULT_OP_BLOCK_LIST, *FULL})
    convert: Any = convert_float_to_float16
    made = convert(model, keep_io_types=True, op_block_list=blocked)
    onnx.save(made, str(target))


def _lacking() -> EngineError:
    return EngineError("other precisions need the package onnx: pip install 'sensorium[train]'")
