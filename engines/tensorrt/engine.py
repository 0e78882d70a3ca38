"""TensorRT on a GPU: one plan, one stream, memory allocated once, a CUDA graph.

Names that every TensorRT from 10.3 to 11.4 has. Failures are return values there: each None and
False is checked.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.engine import TensorSpec, check_feeds
from engines.error import EngineError
from engines.tensorrt.binding import Binding
from engines.tensorrt.buffers import Block
from engines.tensorrt.context import cuda_errors, current, primary_context, pycuda_driver
from engines.tensorrt.driver import Gpu
from engines.tensorrt.graph import Launcher, cuda_bindings

NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING: what others put on the default stream is not waited for
WARM_UP_RUNS = 2  # plainly, and as a graph
DTYPES: Mapping[str, type[np.generic]] = {
    "FLOAT": np.float32,
    "HALF": np.float16,
    "INT32": np.int32,
    "INT64": np.int64,
    "INT8": np.int8,
    "UINT8": np.uint8,
    "BOOL": np.bool_,
}


class TensorRtEngine:
    """A plan, ready to run on the GPU that it was built for."""

    def __init__(self, plan: bytes, *, path: Path, binding: Binding, gpu: Gpu) -> None:
        """`path` is the ONNX file, for messages. Raises EngineError."""
        self._path, self._binding = path, binding
        self.backend = binding.backend
        self._lock = threading.Lock()
        self._pycuda = pycuda_driver()
        self._primary = primary_context(gpu.index)
        self._opened: list[Any] = []  # what has a `free` or `close`, in the order of making
        self._context: Any = None
        with cuda_errors(str(path)), current(self._primary):
            try:
                self._open(plan, gpu)
            except BaseException:
                self._release()
                raise

    def run(self, feeds: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """The outputs for these inputs. Raises EngineError for a wrong name, dtype or shape."""
        with self._lock:
            if self._context is None:
                raise EngineError(f"{self._path}: this engine is closed")
            check_feeds(self.inputs, feeds)
            with cuda_errors(str(self._path)), current(self._primary):
                for name, pinned in self._up.arrays.items():
                    np.copyto(pinned, feeds[name])
                self._launcher.run(self._bound())
                self._stream.synchronize()
                # The next run writes into the pinned memory.
                return {name: pinned.copy() for name, pinned in self._down.arrays.items()}

    def close(self) -> None:
        """Release everything; a second call does nothing."""
        with self._lock:
            if self._context is not None:
                with cuda_errors(str(self._path)), current(self._primary):
                    try:
                        self._stream.synchronize()
                    finally:
                        self._release()

    @property
    def why_no_graph(self) -> str:
        """Empty where runs are launches of a CUDA graph."""
        return self._launcher.why_plain

    def _open(self, plan: bytes, gpu: Gpu) -> None:
        trt, logger = self._binding.trt, self._binding.logger
        logger.take()  # what was said of another engine is not of this one
        # Kept as long as what comes of it.
        self._runtime = trt.Runtime(logger)
        self._engine = self._needed(self._runtime.deserialize_cuda_engine(plan), "load the plan")
        self.inputs, self.outputs = _specs(self._path, trt, self._engine)
        self._context = self._needed(self._engine.create_execution_context(), "make a context")
        self._stream = self._pycuda.Stream(NON_BLOCKING)
        self._up = self._block(self.inputs, gpu)
        self._down = self._block(self.outputs, gpu)
        for name, address in {**self._up.addresses, **self._down.addresses}.items():
            if not self._context.set_tensor_address(name, address):
                raise self._error(f"take an address for {name}")
        self._launcher = Launcher(self._stream.handle, self._enqueue, cuda_bindings())
        self._opened.append(self._launcher)
        self._warm_up()

    def _warm_up(self) -> None:
        """Do what is slow the first time, before anyone waits for it."""
        for pinned in self._up.arrays.values():
            pinned.fill(0)
        for _ in range(WARM_UP_RUNS):
            self._launcher.run(self._bound())
            self._stream.synchronize()

    def _block(self, specs: Mapping[str, TensorSpec], gpu: Gpu) -> Block:
        block = Block(self._pycuda, specs, is_mapped=gpu.is_integrated)
        self._opened.append(block)
        return block

    def _enqueue(self) -> None:
        """Inputs up, the graph, outputs down, all on the stream. Raises EngineError."""
        with cuda_errors(str(self._path)):
            self._up.upload(self._stream)
            if not self._context.execute_async_v3(self._stream.handle):
                raise self._error("run")
            self._down.download(self._stream)

    def _bound(self) -> tuple[int, ...]:
        """Where the context reads and writes: a CUDA graph of other addresses is of no use."""
        names = (*self.inputs, *self.outputs)
        return tuple(self._context.get_tensor_address(name) for name in names)

    def _release(self) -> None:
        """Everything, in the opposite order of making."""
        while self._opened:
            made = self._opened.pop()
            (made.close if isinstance(made, Launcher) else made.free)()
        self._context = self._engine = self._runtime = self._stream = None

    def _needed(self, made: Any, what: str) -> Any:
        if made is None:
            raise self._error(what)
        return made

    def _error(self, what: str) -> EngineError:
        said = "; ".join(self._binding.logger.take()) or "it gives no reason"
        return EngineError(f"{self._path}: TensorRT cannot {what}: {said}")


def _specs(
    path: Path, trt: Any, engine: Any
) -> tuple[dict[str, TensorSpec], dict[str, TensorSpec]]:
    """The inputs and the outputs of an engine."""
    inputs: dict[str, TensorSpec] = {}
    outputs: dict[str, TensorSpec] = {}
    for index in range(engine.num_io_tensors):
        name = engine.get_tensor_name(index)
        dtype, shape = engine.get_tensor_dtype(name).name, tuple(engine.get_tensor_shape(name))
        on_device = engine.get_tensor_location(name) == trt.TensorLocation.DEVICE
        if dtype not in DTYPES or min(shape, default=1) < 1 or not on_device:
            raise EngineError(f"{path}: {name} is {dtype} {shape}; sizes are fixed")
        is_input = engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
        (inputs if is_input else outputs)[name] = TensorSpec(np.dtype(DTYPES[dtype]), shape)
    return inputs, outputs
