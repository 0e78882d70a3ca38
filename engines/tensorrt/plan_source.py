"""The plan of a graph: from the cache, or built now."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from pathlib import Path

from engines.error import EngineError
from engines.options import EngineOptions
from engines.progress import Estimate, LogLines, Tell
from engines.tensorrt.binding import Binding
from engines.tensorrt.build import PROFILE, build
from engines.tensorrt.cache import Cache
from engines.tensorrt.driver import Gpu
from engines.tensorrt.precision import to_fp16
from engines.tensorrt.sidecar import Key
from engines.tensorrt.timing import Timing

# What a precision asks of the builder; all else is in the graph.
FLAGS: Mapping[str, tuple[str, ...]] = {"fp32": (), "tf32": ("TF32",), "fp16": (), "int8": ()}


def open_plan(
    path: Path,
    binding: Binding,
    gpu: Gpu | None,
    options: EngineOptions,
    tell: Tell | None = None,
) -> bytes:
    """The plan of an ONNX file, which is built if the cache has none. Raises EngineError.

    Without a GPU it is one for any, which TensorRT-RTX alone can build.
    """
    graph = read_graph(path, options)
    cache = Cache(options.cache)
    key = key_of(graph, binding, gpu, options)
    found = cache.find(key)
    if found is not None:
        return found
    timing = Timing(_timing_path(cache, key) if binding.backend == "tensorrt" else None)

    def build_now() -> bytes:
        expected_s = cache.build_s(key, path.name)
        estimate = Estimate(path.name, expected_s, tell or LogLines())
        try:
            return build(binding, graph, key.flags, timing, estimate)
        except EngineError as error:
            raise EngineError(f"{path}: {error}") from error

    return cache.get(key, path.name, build_now)


def is_cached(path: Path, binding: Binding, gpu: Gpu | None, options: EngineOptions) -> bool:
    """Whether `open_plan` would return at once. Raises EngineError."""
    key = key_of(read_graph(path, options), binding, gpu, options)
    return Cache(options.cache).find(key) is not None


def read_graph(path: Path, options: EngineOptions) -> bytes:
    """The graph to build: that of the file, in the precision that was asked for."""
    if (options.precision or "fp32") not in FLAGS:
        raise EngineError(f"precision {options.precision!r}: TensorRT's are {', '.join(FLAGS)}")
    try:
        graph = path.read_bytes()
    except OSError as error:
        raise EngineError(f"{path}: cannot be read: {error.strerror}") from error
    if options.precision != "fp16":
        return graph
    try:
        return to_fp16(graph)
    except EngineError as error:
        raise EngineError(f"{path}: {error}") from error


def key_of(graph: bytes, binding: Binding, gpu: Gpu | None, options: EngineOptions) -> Key:
    """What decides the engine of a graph. Those of TensorRT-RTX run on any GPU."""
    precision = options.precision or "fp32"
    gpu = gpu if binding.backend == "tensorrt" else None
    return Key(
        graph_sha256=hashlib.sha256(graph).hexdigest(),
        precision=precision,
        backend=binding.backend,
        version=binding.version,
        machine=platform.machine(),
        gpu=f"{gpu.name}, {gpu.multiprocessors} multiprocessors" if gpu else "",
        compute_capability=gpu.sm if gpu else "",
        driver=gpu.driver_version if gpu else "",
        profile=PROFILE,
        flags=FLAGS[precision],
    )


def _timing_path(cache: Cache, key: Key) -> Path:
    """One file for each version on each GPU and driver."""
    text = "\0".join((key.version, key.machine, key.gpu, key.compute_capability, key.driver))
    return cache.folder / f"timing-{hashlib.sha256(text.encode()).hexdigest()[:16]}.bin"
