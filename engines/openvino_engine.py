"""OpenVINO on the CPU: faster than ONNX Runtime where the CPU computes in bf16."""

from __future__ import annotations

import functools
import importlib
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.engine import TensorSpec, check_feeds
from engines.error import EngineError

DTYPES = (np.float32, np.int32, np.int64, np.uint8)
PRECISIONS = {"fp32": "f32", "bf16": "bf16"}
NAMES = {hint: precision for precision, hint in PRECISIONS.items()}
# One thread, as for ONNX Runtime: a second pays only while its pool spins.
CONFIG: Mapping[str, Any] = {
    "PERFORMANCE_HINT": "LATENCY",
    "NUM_STREAMS": "1",
    "INFERENCE_NUM_THREADS": "1",
    "ENABLE_CPU_PINNING": "NO",
}


class OpenVinoEngine:
    """One graph, with inputs bound once.

    `precision` is fp32 or bf16; empty is bf16 where the CPU computes in it, and fp32 elsewhere.
    The attribute is what runs: see `_is_delicate`.
    """

    backend = "openvino"

    def __init__(self, path: Path, precision: str = "") -> None:
        core = openvino_core()
        self._path = path
        self._lock = threading.Lock()
        config = _config(core, precision or ("bf16" if has_bf16(core) else "fp32"))
        try:
            model = core.read_model(path)
            self.inputs = _specs(path, model.inputs)
            self.outputs = _specs(path, model.outputs)
            if _is_delicate(model, self.inputs):
                config = _config(core, "fp32")
            self._compiled: Any = core.compile_model(model, "CPU", config)
            self._request: Any = self._compiled.create_infer_request()
        except RuntimeError as error:
            raise EngineError(f"{path}: OpenVINO refuses it: {_last_line(error)}") from error
        self.precision = NAMES[config["INFERENCE_PRECISION_HINT"]]
        # The request reads these arrays: they are written in place, never replaced.
        self._bound = {name: np.zeros(s.shape, s.dtype) for name, s in self.inputs.items()}
        self._bind()

    def run(self, feeds: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """The outputs for these inputs. Raises EngineError for a wrong name, dtype or shape."""
        with self._lock:
            if self._request is None:
                raise EngineError(f"{self._path}: this engine is closed")
            check_feeds(self.inputs, feeds)
            for name, bound in self._bound.items():
                np.copyto(bound, feeds[name])
            self._request.infer()
            # The next run writes over the request's own outputs.
            return {
                name: self._request.get_output_tensor(index).data.copy()
                for index, name in enumerate(self.outputs)
            }

    def close(self) -> None:
        """Release the model; a second call does nothing."""
        with self._lock:
            self._request = self._compiled = None

    def _bind(self) -> None:
        for index, bound in enumerate(self._bound.values()):
            self._request.set_input_tensor(index, _openvino().Tensor(bound, shared_memory=True))


def has_bf16(core: Any) -> bool:
    """Whether the CPU has instructions for bf16 (AVX-512 BF16 or AMX)."""
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@functools.cache
def openvino_core() -> Any:
    return _openvino().Core()


def _openvino() -> Any:
    try:
        return importlib.import_module("openvino")
    except ImportError as error:
        raise EngineError(
            f"backend 'openvino': {error}; install it with `pip install 'sensorium[openvino]'`"
        ) from error


def _config(core: Any, precision: str) -> dict[str, Any]:
    if precision not in PRECISIONS:
        raise EngineError(f"precision {precision!r}: openvino has {', '.join(PRECISIONS)}")
    if precision == "bf16" and not has_bf16(core):
        raise EngineError(
            "precision 'bf16': this CPU has no instructions for it (avx512_bf16 or amx_bf16 in"
            " /proc/cpuinfo); leave the precision out or say fp32"
        )
    config = dict(CONFIG) | {"INFERENCE_PRECISION_HINT": PRECISIONS[precision]}
    if precision == "fp32":
        # 2026.4.1 fuses attention wrongly in fp32: off by 0.08 on 8 tokens; not so without this.
        config["SNIPPETS_MODE"] = "DISABLE"
    return config


def _is_delicate(model: Any, inputs: Mapping[str, TensorSpec]) -> bool:
    """Whether a graph loses its sense in bf16, which has 8 bits.

    It cannot tell 21.3 from 21.4 degrees, or a faint band beside a loud one before the logarithm.
    """
    return "readings" in inputs or any(op.get_type_name() == "Log" for op in model.get_ops())


def _specs(path: Path, ports: Iterable[Any]) -> dict[str, TensorSpec]:
    specs = {}
    for port in ports:
        name, shape = port.get_any_name(), port.get_partial_shape()
        dtype = np.dtype(port.get_element_type().to_dtype())
        if dtype not in DTYPES or not shape.is_static:
            raise EngineError(f"{path}: {name} is {dtype} {shape}; sizes are fixed")
        specs[name] = TensorSpec(dtype, tuple(shape.to_shape()))
    return specs


def _last_line(error: Exception) -> str:
    """OpenVINO says where in its sources it was, and then what is wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
