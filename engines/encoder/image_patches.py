"""Patches of a picture as tokens with positions, for a fusion that relates them to words."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engines.bundle import ImageSpec
from engines.encoder.convolve import convolve
from engines.encoder.picture import check_side, contrasted
from engines.error import EngineError

STRIDE_PX = 8
SIDE = 4  # patches along each side of the picture


class ImagePatches(nn.Module):
    """uint8 RGB (B, height, width, 3) to tokens (B, 16, D), row by row, each with its position."""

    TOKENS = SIDE * SIDE

    def __init__(self, spec: ImageSpec, width: int) -> None:
        super().__init__()
        check_side(spec, STRIDE_PX)
        if spec.height_px % (SIDE * STRIDE_PX) or spec.width_px % (SIDE * STRIDE_PX):
            raise EngineError(
                f"pictures of {spec.width_px} x {spec.height_px} px: encoder patches needs"
                f" multiples of {SIDE * STRIDE_PX}"
            )
        self.convolve = convolve(6, 24, 40, 64, 64)
        self.pool = nn.AvgPool2d(
            (spec.height_px // STRIDE_PX // SIDE, spec.width_px // STRIDE_PX // SIDE)
        )
        self.project = nn.Linear(64, width)
        self.position = nn.Parameter(0.02 * torch.randn(self.TOKENS, width))
        self.norm = nn.LayerNorm(width)

    def forward(self, image: Tensor) -> Tensor:
        maps = self.pool(self.convolve(contrasted(image)))
        patches = self.project(maps.flatten(2).transpose(1, 2)) + self.position
        return self.norm(patches)  # type: ignore[no-any-return]
