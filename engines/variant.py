"""Which file of a bundle an engine of some precision is made of."""

from __future__ import annotations

from pathlib import Path

from engines.bundle import Bundle, Manifest
from engines.error import EngineError

# Those that a backend makes of the fp32 graph by itself.
MADE = {
    "tensorrt": ("tf32", "fp16"),
    "tensorrt-rtx": ("tf32", "fp16"),
    "openvino": ("bf16",),
}


def graph_roles(manifest: Manifest) -> list[str]:
    """The roles of all graphs: the encoders, the heads that speak, the fusion."""
    return [*manifest.specs, *manifest.captions, "fusion"]


def graph_path(bundle: Bundle, role: str, backend: str, precision: str) -> Path:
    """The file of a graph in a precision. Raises EngineError if the bundle has none of it.

    Of a precision that the bundle has for some graphs only, the others are fp32.
    """
    variants = bundle.manifest.variants.get(precision, {})
    if role in variants:
        return bundle.path(f"{role}.{precision}")
    if precision in ("", "fp32") or variants or precision in MADE.get(backend, ()):
        return bundle.path(role)
    listed = ", ".join(["fp32", *bundle.manifest.variants])
    raise EngineError(
        f"bundle {bundle.manifest.name} has no {precision} for {backend}: it has {listed};"
        " `sensorium export` makes others"
    )
