"""What the CUDA driver says of the machine, asked through the driver's own library.

This comes before any object of TensorRT: without a driver some of those crash when touched.
"""

from __future__ import annotations

import ctypes
import functools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.error import EngineError

LIBRARY = "libcuda.so.1"
KERNEL_MODULE = Path("/proc/driver/nvidia/version")
NAME_BYTES = 256
# Of the enumeration CUdevice_attribute in cuda.h.
MULTIPROCESSORS, INTEGRATED, MAJOR, MINOR = 16, 18, 75, 76
NO_DEVICE = 100  # CUDA_ERROR_NO_DEVICE


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU, and the driver that runs it."""

    index: int
    name: str
    compute_capability: tuple[int, int]
    multiprocessors: int  # Orin NX and Nano share a name and a capability, not this
    memory_bytes: int
    is_integrated: bool  # it shares the memory of the CPU, as on a Jetson
    cuda_version: str  # the newest that the driver runs, as "12.6"
    driver_version: str  # of the kernel module, as "540.4.0"; "CUDA 12.6" where it does not tell

    @property
    def sm(self) -> str:
        """As "sm_87"."""
        return "sm_{}{}".format(*self.compute_capability)


def probe() -> list[Gpu]:
    """Every GPU; none is an empty list. Raises EngineError where there is no working driver."""
    library = _library()
    code = library.cuInit(0)
    if code == NO_DEVICE:
        return []
    _check(library, code, "cuInit")
    cuda = _number(library, "cuDriverGetVersion")
    count = _number(library, "cuDeviceGetCount")
    version = f"{cuda // 1000}.{cuda % 1000 // 10}"
    return [_gpu(library, index, version) for index in range(count)]


def first_gpu() -> Gpu:
    """The GPU that engines run on. Raises EngineError if there is none."""
    gpus = probe()
    if not gpus:
        raise EngineError(
            "no CUDA GPU: the driver finds no device; in a container, start it with the GPU"
            " (--gpus all, or --runtime nvidia on a Jetson), or choose another backend"
        )
    return gpus[0]


@functools.cache
def _library() -> Any:
    try:
        return ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise EngineError(
            f"no CUDA driver: {LIBRARY} cannot be loaded; install the NVIDIA driver"
            " (a Jetson has it with JetPack), or choose another backend"
        ) from error


def _gpu(library: Any, index: int, cuda_version: str) -> Gpu:
    name = ctypes.create_string_buffer(NAME_BYTES)
    _check(library, library.cuDeviceGetName(name, NAME_BYTES, index), "cuDeviceGetName")
    memory = ctypes.c_size_t()
    code = library.cuDeviceTotalMem_v2(ctypes.byref(memory), index)
    _check(library, code, "cuDeviceTotalMem")
    return Gpu(
        index=index,
        name=name.value.decode(errors="replace"),
        compute_capability=(
            _attribute(library, MAJOR, index),
            _attribute(library, MINOR, index),
        ),
        multiprocessors=_attribute(library, MULTIPROCESSORS, index),
        memory_bytes=memory.value,
        is_integrated=bool(_attribute(library, INTEGRATED, index)),
        cuda_version=cuda_version,
        driver_version=_kernel_module() or f"CUDA {cuda_version}",
    )


def _attribute(library: Any, attribute: int, index: int) -> int:
    found = ctypes.c_int()
    code = library.cuDeviceGetAttribute(ctypes.byref(found), attribute, index)
    _check(library, code, "cuDeviceGetAttribute")
    return found.value


def _number(library: Any, function: str) -> int:
    found = ctypes.c_int()
    _check(library, getattr(library, function)(ctypes.byref(found)), function)
    return found.value


def _check(library: Any, code: int, function: str) -> None:
    if code == 0:
        return
    name = ctypes.c_char_p()
    library.cuGetErrorName(code, ctypes.byref(name))
    said = (name.value or b"unknown error").decode()
    raise EngineError(
        f"the CUDA driver does not work: {function} gives {said} ({code});"
        " `nvidia-smi` says more, a reboot loads a driver that was just updated"
    )


def _kernel_module() -> str:
    """The version of the kernel module, or nothing."""
    try:
        text = KERNEL_MODULE.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    found = re.search(r"\s(\d+\.\d+(?:\.\d+)?)\s", text)
    return found[1] if found else ""
