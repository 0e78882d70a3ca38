"""The Python bindings of TensorRT, or of TensorRT-RTX, which has the same interface.

They are imported here and nowhere else, where an engine is wanted.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from engines.error import EngineError
from engines.tensorrt.logger import make_log

# The modules that a backend may come in, and what to do where there is none.
MODULES: Mapping[str, tuple[str, ...]] = {
    "tensorrt": ("tensorrt",),
    "tensorrt-rtx": ("tensorrt_rtx", "tensorrt_rtx_bindings"),
}
INSTALL: Mapping[str, str] = {
    "tensorrt": (
        "on a Jetson: apt install python3-libnvinfer, and a virtual environment with"
        " --system-site-packages; elsewhere: pip install tensorrt"
    ),
    "tensorrt-rtx": "pip install 'sensorium[tensorrt-rtx]', and to run it [tensorrt], too",
}


@dataclass(frozen=True, slots=True)
class Binding:
    """Loaded bindings: the module, and the one logger of the process."""

    backend: str
    trt: Any
    logger: Any
    version: str


@cache
def load(backend: str) -> Binding:
    """Import the bindings of a backend. Raises EngineError. It touches no driver."""
    for name in MODULES[backend]:
        try:
            trt = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:  # a part that it wants for itself
                raise _refused(backend, error) from error
        except (ImportError, OSError) as error:  # as a library that is missing
            raise _refused(backend, error) from error
        else:
            return Binding(backend, trt, make_log(trt), str(trt.__version__))
    raise EngineError(
        f"backend {backend!r}: it is not installed ({INSTALL[backend]}); or set fusion.backend"
    )


def _refused(backend: str, error: Exception) -> EngineError:
    reason = str(error).strip().split("\n", 1)[0]
    return EngineError(
        f"backend {backend!r}: it is installed and does not load: {reason} ({INSTALL[backend]})"
    )
