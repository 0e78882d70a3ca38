"""ONNX Runtime: on the CPU the default engine, right everywhere; on a GPU by its CUDA provider."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from engines.engine import TensorSpec, check_feeds
from engines.error import EngineError

DTYPES: Mapping[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(uint8)": np.uint8,
}
# They share no root below Exception.
LOAD_ERRORS = (
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoSuchFile,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)


CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
# TF32 rounds to 10 bits of mantissa, and is on unless it is said.
CUDA_OPTIONS = {"use_tf32": "0", "cudnn_conv_use_max_workspace": "1"}


class OnnxRuntimeEngine:
    """One graph in a session of its own, with one thread.

    A second thread pays only while its pool spins, and then the pools of several sessions fight
    for the cores: twice the median, ten times the 99th percentile on two cores.
    """

    backend = "onnxruntime"
    _providers: Sequence[Any] = (CPU,)

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            session = onnxruntime.InferenceSession(
                str(path), options, providers=list(self._providers)
            )
        except LOAD_ERRORS as error:
            raise EngineError(f"{path}: ONNX Runtime refuses it: {_first_line(error)}") from error
        # By itself it would go on with another provider, on another device.
        session.disable_fallback()
        self._path = path
        self._session: Any = session
        self.inputs = _specs(path, session.get_inputs())
        self.outputs = _specs(path, session.get_outputs())

    def run(self, feeds: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """The outputs for these inputs. Raises EngineError for a wrong name, dtype or shape."""
        if self._session is None:
            raise EngineError(f"{self._path}: this engine is closed")
        check_feeds(self.inputs, feeds)
        return dict(zip(self.outputs, self._session.run(None, dict(feeds)), strict=True))

    def close(self) -> None:
        """Release the session; a second call does nothing."""
        self._session = None


class OnnxRuntimeCudaEngine(OnnxRuntimeEngine):
    """The same on a GPU; an error where ONNX Runtime would run on the CPU instead."""

    backend = "onnxruntime-cuda"
    _providers = ((CUDA, CUDA_OPTIONS), CPU)

    def __init__(self, path: Path) -> None:
        if CUDA not in onnxruntime.get_available_providers():
            raise EngineError(
                "backend 'onnxruntime-cuda': this ONNX Runtime was built without CUDA; install"
                " onnxruntime-gpu in the place of onnxruntime, or choose another backend"
            )
        super().__init__(path)
        if self._session.get_providers()[0] != CUDA:
            raise EngineError(
                "backend 'onnxruntime-cuda': ONNX Runtime cannot start CUDA: see that its CUDA"
                " and cuDNN are installed and that `nvidia-smi` finds a GPU"
            )


def _specs(path: Path, nodes: Sequence[Any]) -> dict[str, TensorSpec]:
    specs = {}
    for node in nodes:
        if node.type not in DTYPES or not all(isinstance(size, int) for size in node.shape):
            raise EngineError(f"{path}: {node.name} is {node.type} {node.shape}; sizes are fixed")
        specs[node.name] = TensorSpec(np.dtype(DTYPES[node.type]), tuple(node.shape))
    return specs


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]
