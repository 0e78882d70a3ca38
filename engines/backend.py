"""Opening a compiled graph on the backend that was asked for; nothing takes its place."""

from __future__ import annotations

from pathlib import Path

from engines.engine import Engine
from engines.error import EngineError


def open_engine(path: Path, backend: str) -> Engine:
    """Load an ONNX file on a backend. Raises EngineError."""
    if backend == "onnxruntime":
        from engines.onnxruntime_engine import OnnxRuntimeEngine

        return OnnxRuntimeEngine(path)
    raise EngineError(f"backend {backend!r}: the backends are onnxruntime")
