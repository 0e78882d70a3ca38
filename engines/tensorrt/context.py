"""The primary context of a GPU: the one that TensorRT uses, too.

pycuda aborts the process if a thread ends while a context of its is pushed, so it is pushed for
the length of a call, by the thread that makes it, and never left there.
"""

from __future__ import annotations

import atexit
import functools
import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from engines.error import EngineError
from engines.tensorrt.graph import GraphError


def pycuda_driver() -> ModuleType:
    """pycuda's driver module. Raises EngineError where it is not installed."""
    try:
        return importlib.import_module("pycuda.driver")
    except ImportError as error:
        raise EngineError(
            f"pycuda cannot be imported: {error}; install it with `pip install"
            " 'sensorium[tensorrt]'` (it is compiled: g++ and the CUDA headers are needed)"
        ) from error


@functools.cache
def primary_context(index: int) -> Any:
    """pycuda's object for it, retained once and kept until the process ends."""
    pycuda = pycuda_driver()
    with cuda_errors("the GPU's primary context"):
        pycuda.init()
        context = pycuda.Device(index).retain_primary_context()
    # Left to the end of the interpreter, pycuda would detach it in the way of other contexts.
    atexit.register(context.detach)
    return context


@contextmanager
def current(context: Any) -> Iterator[None]:
    """Make the context current in this thread."""
    context.push()
    try:
        yield
    finally:
        context.pop()


@contextmanager
def cuda_errors(what: str) -> Iterator[None]:
    """Turn errors of the driver into EngineErrors that name `what`."""
    pycuda = pycuda_driver()
    try:
        yield
    except (pycuda.Error, GraphError) as error:
        raise EngineError(f"{what}: {error}") from error
