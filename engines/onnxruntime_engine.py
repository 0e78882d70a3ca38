"""ONNX Runtime on the CPU: the default engine, right everywhere."""

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


class OnnxRuntimeEngine:
    """One graph in a session of its own, with one thread.

    A second thread pays only while its pool spins, and then the pools of several sessions fight
    for the cores: twice the median, ten times the 99th percentile on two cores.
    """

    backend = "onnxruntime"

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except LOAD_ERRORS as error:
            raise EngineError(f"{path}: ONNX Runtime refuses it: {_first_line(error)}") from error
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


def _specs(path: Path, nodes: Sequence[Any]) -> dict[str, TensorSpec]:
    specs = {}
    for node in nodes:
        if node.type not in DTYPES or not all(isinstance(size, int) for size in node.shape):
            raise EngineError(f"{path}: {node.name} is {node.type} {node.shape}; sizes are fixed")
        specs[node.name] = TensorSpec(np.dtype(DTYPES[node.type]), tuple(node.shape))
    return specs


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]
