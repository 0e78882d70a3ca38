"""A stand-in for TensorRT's runtime classes, as strict as the real ones.

Its objects have the names of one version of the real bindings and no other: what that version
lacks raises AttributeError. A plan is an ONNX file. `execute_async_v3` puts a call on the stream
that really computes, by ONNX Runtime, on the memory at the addresses that were set.
"""

from __future__ import annotations

import ctypes
import enum
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime

from engines.error import EngineError
from engines.tensorrt.binding import Binding
from engines.tensorrt.driver import first_gpu
from engines.tensorrt.engine import TensorRtEngine

NAMES: Mapping[str, Mapping[str, Sequence[str]]] = json.loads(
    (Path(__file__).parent.parent / "tensorrt_names.json").read_text(encoding="utf-8")
)
VERSIONS = ("10.3.0", "10.13.3.9", "10.16.1.11", "11.4.0.106")
HOST_FUNCTION = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
DTYPES = {
    "tensor(float)": ("FLOAT", np.float32),
    "tensor(int32)": ("INT32", np.int32),
    "tensor(int64)": ("INT64", np.int64),
    "tensor(uint8)": ("UINT8", np.uint8),
}


class Strict:
    """Refuses every name that the emulated version of the class lacks."""

    _names: Sequence[str] = ()

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("_") and name not in type(self)._names:
            raise AttributeError(f"{type(self).__name__} of this version has no {name}")
        return super().__getattribute__(name)


class Runtime(Strict):
    def __init__(self, logger: Any) -> None:
        self._logger = logger

    def deserialize_cuda_engine(self, plan: bytes) -> ICudaEngine | None:
        """None, with a row in the log, for what is no plan."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        try:
            session = onnxruntime.InferenceSession(
                plan, options, providers=["CPUExecutionProvider"]
            )
        except Exception:  # noqa: BLE001  # they share no root; the real one says no more than this
            self._logger.log(SimpleNamespace(name="ERROR"), "Magic tag does not match")
            return None
        kind = type("ICudaEngine", (ICudaEngine,), {"_names": type(self)._engine_names})
        made: ICudaEngine = kind(session, type(self)._context_names)
        return made

    _engine_names: Sequence[str] = ()
    _context_names: Sequence[str] = ()


class TensorIOMode(enum.Enum):
    NONE, INPUT, OUTPUT = range(3)


class TensorLocation(enum.Enum):
    DEVICE, HOST = range(2)


class ICudaEngine(Strict):
    def __init__(self, session: Any, context_names: Sequence[str]) -> None:
        self._session, self._context_names = session, context_names
        self._inputs = {node.name: node for node in session.get_inputs()}
        self._nodes = {**self._inputs, **{node.name: node for node in session.get_outputs()}}

    @property
    def num_io_tensors(self) -> int:
        return len(self._nodes)

    def get_tensor_name(self, index: int) -> str:
        name: str = list(self._nodes)[index]
        return name

    def get_tensor_dtype(self, name: str) -> Any:
        return SimpleNamespace(name=DTYPES[self._nodes[name].type][0])

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return tuple(size if isinstance(size, int) else -1 for size in self._nodes[name].shape)

    def get_tensor_location(self, name: str) -> TensorLocation:
        assert name in self._nodes
        return TensorLocation.DEVICE

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return TensorIOMode.INPUT if name in self._inputs else TensorIOMode.OUTPUT

    def create_execution_context(self) -> IExecutionContext:
        kind = type("IExecutionContext", (IExecutionContext,), {"_names": self._context_names})
        made: IExecutionContext = kind(self._session, self._nodes)
        return made


class IExecutionContext(Strict):
    def __init__(self, session: Any, nodes: Mapping[str, Any]) -> None:
        self._session, self._nodes = session, nodes
        self._addresses: dict[str, int] = {}
        self._cuda = ctypes.CDLL("libcuda.so.1")
        self._cuda.fake_cuda_memory.restype = ctypes.c_void_p
        # As the real one, it keeps what it launches; a graph may call it as long as it lives.
        self._callbacks: list[Any] = []

    def set_tensor_address(self, name: str, address: int) -> bool:
        if name not in self._nodes or address % 256:
            return False
        self._addresses[name] = address
        return True

    def get_tensor_address(self, name: str) -> int:
        return self._addresses[name]

    def execute_async_v3(self, stream_handle: int) -> bool:
        """False unless every tensor has an address."""
        if self._addresses.keys() != self._nodes.keys():
            return False
        addresses = dict(self._addresses)
        call = HOST_FUNCTION(lambda _: self._compute(addresses))
        self._callbacks.append(call)
        launch = self._cuda.cuLaunchHostFunc
        launch.argtypes = (ctypes.c_void_p, HOST_FUNCTION, ctypes.c_void_p)
        return not launch(stream_handle, call, None)

    def _compute(self, addresses: Mapping[str, int]) -> None:
        arrays = {name: self._view(name, address) for name, address in addresses.items()}
        feeds = {node.name: arrays[node.name] for node in self._session.get_inputs()}
        names = [node.name for node in self._session.get_outputs()]
        for name, value in zip(names, self._session.run(names, feeds), strict=True):
            arrays[name][...] = value

    def _view(self, name: str, address: int) -> Any:
        node = self._nodes[name]
        dtype = np.dtype(DTYPES[node.type][1])
        n_bytes = dtype.itemsize * int(np.prod(node.shape))
        start = self._cuda.fake_cuda_memory(ctypes.c_uint64(address), ctypes.c_size_t(n_bytes))
        assert start, f"{name}: {address:#x} is no memory of the device"
        raw = memoryview((ctypes.c_ubyte * n_bytes).from_address(start))
        return np.frombuffer(raw, dtype).reshape(node.shape)


class Log:
    """As engines.tensorrt.logger makes it."""

    def __init__(self) -> None:
        self.errors: list[str] = []

    def log(self, severity: Any, text: str) -> None:
        if severity.name in ("ERROR", "INTERNAL_ERROR"):
            self.errors.append(text)

    def take(self) -> list[str]:
        taken, self.errors = self.errors, []
        return taken


def module(version: str) -> Any:
    """What `import tensorrt` gives, of this version: the classes that a runtime needs."""
    names = NAMES[version]
    runtime = type(
        "Runtime",
        (Runtime,),
        {
            "_names": names["Runtime"],
            "_engine_names": names["ICudaEngine"],
            "_context_names": names["IExecutionContext"],
        },
    )
    return SimpleNamespace(
        __version__=version,
        Runtime=runtime,
        TensorIOMode=TensorIOMode,
        TensorLocation=TensorLocation,
    )


def open_strict(version: str, path: Path) -> TensorRtEngine:
    """The real engine, on the driver that is there and this version's stand-in."""
    binding = Binding("tensorrt", module(version), Log(), version)
    try:
        plan = path.read_bytes()
    except OSError as error:
        raise EngineError(f"{path}: {error}") from error
    return TensorRtEngine(plan, path=path, binding=binding, gpu=first_gpu())
