"""How each backend is opened where the contract of engines is tested.

On the fake CUDA driver (tests/engines/tensorrt) TensorRT joins them, once a version.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TypeAlias

from engines.backend import open_engine
from engines.engine import Engine
from engines.options import EngineOptions

Open: TypeAlias = Callable[[Path], Engine]
ON_FAKE_CUDA = "SENSORIUM_TEST_FAKE_CUDA"


def openers() -> Mapping[str, Open]:
    """{name: opener} of what this machine and this process can run."""
    if os.environ.get(ON_FAKE_CUDA):
        from tests.engines.tensorrt.strict_binding import VERSIONS, open_strict

        return {f"tensorrt {version}": partial(open_strict, version) for version in VERSIONS}
    found: dict[str, Open] = {"onnxruntime": partial(open_engine, backend="onnxruntime")}
    if importlib.util.find_spec("openvino"):
        for precision in ("fp32", "bf16") if has_bf16() else ("fp32",):
            options = EngineOptions(precision=precision)
            opened = partial(open_engine, backend="openvino", options=options)
            found[f"openvino {precision}"] = opened
    if has_onnxruntime_cuda():
        found["onnxruntime-cuda"] = partial(open_engine, backend="onnxruntime-cuda")
    return found


def has_bf16() -> bool:
    """Whether the CPU says that it computes in bf16."""
    flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    return "avx512_bf16" in flags or "amx_bf16" in flags


def has_onnxruntime_cuda() -> bool:
    """Whether ONNX Runtime could run on a GPU here."""
    import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()
