"""The GPU, and what engines on it need. The driver is asked first: without it nothing is tried."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from deploy.doctor.finding import Finding, absent, ok, wrong
from engines.error import EngineError
from engines.tensorrt.binding import load
from engines.tensorrt.context import pycuda_driver
from engines.tensorrt.driver import Gpu, probe
from engines.tensorrt.folder import open_folder

DRIVER, BINDINGS = "CUDA driver", "cuda-bindings"


def gpu_findings(cache: str = "") -> Iterator[Finding]:
    """The driver, TensorRT, pycuda, cuda-bindings and the cache of engines."""
    driver, gpus = _driver()
    yield driver
    yield from (_binding(backend) for backend in ("tensorrt", "tensorrt-rtx"))
    yield _pycuda(bool(gpus))
    yield _cuda_bindings(gpus)
    yield _cache(cache)


def _driver() -> tuple[Finding, list[Gpu]]:
    try:
        gpus = probe()
    except EngineError as error:
        said, _, todo = str(error).partition("; ")
        kind = absent if said.startswith("no CUDA driver") else wrong
        return kind(DRIVER, said, todo), []
    if not gpus:
        return absent(DRIVER, "it finds no GPU", "in a container: --gpus all"), []
    said = "; ".join(_gpu_text(gpu) for gpu in gpus)
    return ok(DRIVER, f"{gpus[0].driver_version}, CUDA {gpus[0].cuda_version}: {said}"), gpus


def _gpu_text(gpu: Gpu) -> str:
    memory = f"{gpu.memory_bytes / 2**30:.0f} GiB{' shared' if gpu.is_integrated else ''}"
    return f"{gpu.name} ({gpu.sm}, {gpu.multiprocessors} multiprocessors, {memory})"


def _binding(backend: str) -> Finding:
    try:
        return ok(backend, load(backend).version)
    except EngineError as error:
        said, _, todo = str(error).removeprefix(f"backend '{backend}': ").partition(" (")
        kind = absent if said.startswith("it is not installed") else wrong
        return kind(backend, said, todo.partition(")")[0])


def _pycuda(has_gpu: bool) -> Finding:
    try:
        found = version("pycuda")
    except PackageNotFoundError:
        todo = "pip install 'sensorium[tensorrt]'; g++ and the CUDA headers are needed"
        return absent("pycuda", "it is not installed", todo)
    if not has_gpu:
        return ok("pycuda", f"{found}; it can be tried only with a GPU")
    try:
        pycuda_driver()
    except EngineError as error:
        return wrong("pycuda", f"{found}: {error}", "build it again against this CUDA")
    return ok("pycuda", found)


def _cuda_bindings(gpus: list[Gpu]) -> Finding:
    """Its major version must not be newer than what the driver runs."""
    try:
        importlib.import_module("cuda.bindings.driver")
        found = version("cuda-bindings")
    except ImportError:  # PackageNotFoundError is one, too
        todo = "pip install 'sensorium[tensorrt]'"
        return absent(BINDINGS, "it is not installed: no CUDA graphs, slower calls", todo)
    major = found.split(".", 1)[0]
    if gpus and int(major) > int(gpus[0].cuda_version.split(".", 1)[0]):
        said = f"{found} is newer than the driver, which runs CUDA {gpus[0].cuda_version}"
        older = gpus[0].cuda_version.split(".", 1)[0]
        return wrong(BINDINGS, said, f"pip install 'cuda-bindings=={older}.*'")
    return ok(BINDINGS, found)


def _cache(chosen: str) -> Finding:
    try:
        folder = open_folder(chosen)
    except EngineError as error:
        said, _, todo = str(error).partition("; ")
        return wrong("engine cache", said, todo)
    plans = list(folder.glob("*.plan"))
    size = sum(plan.stat().st_size for plan in plans) / 2**20
    return ok("engine cache", f"{folder}: {len(plans)} engines, {size:.0f} MiB")
