"""Engines that are built before they can be loaded: what there is to build, and building it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from engines.bundle import Bundle
from engines.options import EngineOptions
from engines.progress import Tell
from engines.variant import graph_path, graph_roles

if TYPE_CHECKING:
    from engines.tensorrt.binding import Binding
    from engines.tensorrt.driver import Gpu

BUILT = ("tensorrt", "tensorrt-rtx")  # the others load an ONNX file as it is


def check_backend(backend: str, options: EngineOptions) -> None:
    """Raise EngineError if a backend that builds cannot run here; nothing is built.

    The driver comes first: where there is none, objects of TensorRT crash the process.
    """
    if backend not in BUILT:
        return
    from engines.tensorrt.binding import load
    from engines.tensorrt.context import pycuda_driver
    from engines.tensorrt.driver import first_gpu
    from engines.tensorrt.folder import open_folder

    first_gpu()
    load(backend)
    pycuda_driver()
    open_folder(options.cache)


def missing(bundle: Bundle, backend: str, options: EngineOptions) -> list[str]:
    """The files of a bundle of which there is no engine yet. Raises EngineError."""
    if backend not in BUILT:
        return []
    from engines.tensorrt.plan_source import is_cached

    binding, gpu = _target(backend)
    paths = _paths(bundle, backend, options)
    return [path.name for path in paths if not is_cached(path, binding, gpu, options)]


def build_all(bundle: Bundle, backend: str, options: EngineOptions, tell: Tell) -> None:
    """Build the engines that are missing, for this GPU; TensorRT-RTX needs none and builds for any.

    Raises EngineError.
    """
    from engines.tensorrt.plan_source import open_plan

    binding, gpu = _target(backend)
    for path in _paths(bundle, backend, options):
        open_plan(path, binding, gpu, options, tell)


def _target(backend: str) -> tuple[Binding, Gpu | None]:
    from engines.tensorrt.binding import load
    from engines.tensorrt.driver import first_gpu

    gpu = first_gpu() if backend == "tensorrt" else None
    return load(backend), gpu


def _paths(bundle: Bundle, backend: str, options: EngineOptions) -> Iterator[Path]:
    for role in graph_roles(bundle.manifest):
        yield graph_path(bundle, role, backend, options.precision)
