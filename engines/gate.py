"""The accuracy gate: before an engine is used it must give the bundle's reference outputs.

The bundle stores the inputs, real windows, and what the trained model makes of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.bundle import Bundle
from engines.engine import Engine
from engines.error import BundleError, EngineError

# The largest error of a precision, as a share of the largest reference value, or of 1 if all are
# smaller. A backend that differs more computes something else.
TOLERANCE: Mapping[str, float] = {
    "fp32": 1e-3,
    "tf32": 1e-2,
    "fp16": 1e-2,
    "bf16": 5e-2,
    "int8": 0.15,
}


def check_outputs(bundle: Bundle, engines: Mapping[str, Engine], precision: str) -> None:
    """Run each graph on its stored input; this warms it up, too.

    Raises EngineError with the worst output if one is not what the bundle says; `precision` is
    that of engines that do not know theirs.
    """
    arrays = _stored(bundle)
    worst, said = 0.0, ""
    for role, engine in engines.items():
        tolerance = TOLERANCE[getattr(engine, "precision", "") or precision or "fp32"]
        for name, error in output_errors(bundle, arrays, role, engine).items():
            if not error / tolerance <= worst:  # NaN is the worst
                worst = np.inf if np.isnan(error) else error / tolerance
                said = (
                    f"{bundle.path(role)}: on {engine.backend}, {name} is off by {error:.2g} from"
                    f" the bundle's reference; {tolerance:g} is allowed"
                )
    if worst > 1:
        raise EngineError(f"{said}; take another precision or backend")


def output_errors(
    bundle: Bundle, arrays: Mapping[str, npt.NDArray[Any]], role: str, engine: Engine
) -> dict[str, float]:
    """{output: its largest error as a share} of one graph on its stored input."""
    prefix = "" if role in bundle.manifest.specs else f"{role}."
    wanted = [f"{role}.{name}" for name in engine.outputs]
    missing = {prefix + name for name in engine.inputs}.union(wanted) - arrays.keys()
    if missing:
        raise BundleError(f"{bundle.path('probe')}: lacks {', '.join(sorted(missing))}")
    outputs = engine.run({name: arrays[prefix + name] for name in engine.inputs})
    return {name: _error(output, arrays[f"{role}.{name}"]) for name, output in outputs.items()}


def _error(output: npt.NDArray[Any], reference: npt.NDArray[Any]) -> float:
    return float(np.abs(output - reference).max()) / max(1.0, float(np.abs(reference).max()))


def _stored(bundle: Bundle) -> dict[str, npt.NDArray[Any]]:
    try:
        with np.load(bundle.path("probe"), allow_pickle=False) as stored:
            return dict(stored)
    except (OSError, ValueError) as error:
        raise BundleError(f"{bundle.path('probe')}: cannot be read: {error}") from error
