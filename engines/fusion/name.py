"""The names of the fusion methods, for those who must not load torch."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

FusionName: TypeAlias = Literal[
    "mean",
    "product",
    "weighted",
    "concat",
    "gated",
    "lowrank",
    "self_attention",
    "cross_modal",
    "bottleneck",
    "reliability",
]
FUSIONS: tuple[FusionName, ...] = get_args(FusionName)
DEFAULT_FUSION: FusionName = "self_attention"
