"""Opening a compiled graph on the backend that was asked for; nothing takes its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from engines.engine import Engine
from engines.error import EngineError
from engines.options import DEFAULT, EngineOptions

Opener: TypeAlias = Callable[[Path, EngineOptions], Engine]


def open_engine(path: Path, backend: str, options: EngineOptions = DEFAULT) -> Engine:
    """Load an ONNX file on a backend. Raises EngineError."""
    opener = OPENERS.get(backend)
    if opener is None:
        raise EngineError(f"backend {backend!r}: the backends are {', '.join(OPENERS)}")
    return opener(path, options)


def _onnxruntime(path: Path, options: EngineOptions) -> Engine:
    from engines.onnxruntime_engine import OnnxRuntimeEngine

    _check_precision("onnxruntime", options)
    return OnnxRuntimeEngine(path)


def _onnxruntime_cuda(path: Path, options: EngineOptions) -> Engine:
    from engines.onnxruntime_engine import OnnxRuntimeCudaEngine

    _check_precision("onnxruntime-cuda", options)
    return OnnxRuntimeCudaEngine(path)


def _openvino(path: Path, options: EngineOptions) -> Engine:
    from engines.openvino_engine import OpenVinoEngine

    return OpenVinoEngine(path, options.precision)


def _tensorrt(path: Path, options: EngineOptions) -> Engine:
    from engines.tensorrt.opening import open_tensorrt

    return open_tensorrt(path, "tensorrt", options)


def _tensorrt_rtx(path: Path, options: EngineOptions) -> Engine:
    from engines.tensorrt.opening import open_tensorrt

    return open_tensorrt(path, "tensorrt-rtx", options)


def _check_precision(backend: str, options: EngineOptions) -> None:
    """ONNX Runtime computes what stands in the graph."""
    if options.precision == "bf16":
        raise EngineError(f"backend {backend!r} has no bf16: the backend openvino has it")


OPENERS: Mapping[str, Opener] = {
    "onnxruntime": _onnxruntime,
    "onnxruntime-cuda": _onnxruntime_cuda,
    "openvino": _openvino,
    "tensorrt": _tensorrt,
    "tensorrt-rtx": _tensorrt_rtx,
}
BACKENDS = tuple(OPENERS)
