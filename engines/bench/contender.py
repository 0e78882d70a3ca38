"""A graph on every backend that this machine has, each as a call to be timed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy.typing as npt

from engines.backend import BACKENDS, open_engine
from engines.error import EngineError
from engines.options import EngineOptions

Feeds: TypeAlias = Mapping[str, npt.NDArray[Any]]
Call: TypeAlias = Callable[[], Any]
REFERENCE = "onnxruntime"
# What is timed of a backend that has several precisions for one graph.
PRECISIONS: Mapping[str, tuple[str, ...]] = {"openvino": ("fp32", "bf16")}


@contextmanager
def contenders(path: Path, feeds: Feeds) -> Iterator[tuple[dict[str, Call], dict[str, str]]]:
    """({name: call}, {name: why it is not there}) of an ONNX file; `feeds` may hold more."""
    calls: dict[str, Call] = {}
    missing: dict[str, str] = {}
    with ExitStack() as stack:
        for called, backend, precision in _names():
            try:
                engine = open_engine(path, backend, EngineOptions(precision=precision))
            except EngineError as error:
                missing[called] = str(error)
                continue
            stack.callback(engine.close)
            own = {name: feeds[name] for name in engine.inputs}
            calls[called] = partial(engine.run, own)
        yield calls, missing


def _names() -> Iterator[tuple[str, str, str]]:
    """(name, backend, precision)."""
    for backend in BACKENDS:
        for precision in PRECISIONS.get(backend, ("",)):
            yield f"{backend} {precision}".strip(), backend, precision
