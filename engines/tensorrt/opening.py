"""From an ONNX file to a running TensorRT engine."""

from __future__ import annotations

from pathlib import Path

from engines.engine import Engine
from engines.options import EngineOptions
from engines.tensorrt.driver import first_gpu


def open_tensorrt(path: Path, backend: str, options: EngineOptions) -> Engine:
    """Load the cached plan of `path` on the first GPU, or build it. Raises EngineError."""
    # The driver comes first: without one, objects of TensorRT crash the process when touched.
    gpu = first_gpu()
    from engines.tensorrt.binding import load
    from engines.tensorrt.context import pycuda_driver
    from engines.tensorrt.engine import TensorRtEngine
    from engines.tensorrt.plan_source import open_plan

    pycuda_driver()  # said before minutes are spent on a build
    binding = load(backend)
    plan = open_plan(path, binding, gpu, options)
    return TensorRtEngine(plan, path=path, binding=binding, gpu=gpu)
