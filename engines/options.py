"""What a configuration says about how engines run, beyond the name of the backend."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """`precision` is fp32, fp16, bf16 or int8; empty is what the backend does of itself.

    `cache` is the folder of engines that were built; empty is that of the user.
    """

    precision: str = ""
    cache: str = ""


DEFAULT = EngineOptions()
