"""The small picture encoder: six 3x3 convolutions with ReLU, which int8 does not hurt."""

from __future__ import annotations

from torch import Tensor, nn

from engines.bundle import ImageSpec
from engines.encoder.convolve import convolve
from engines.encoder.picture import check_side, contrasted, quarters

STRIDE_PX = 16


class ImageCnn(nn.Module):
    """uint8 RGB (B, height, width, 3) to tokens (B, 4, D), one a quarter of the picture."""

    TOKENS = 4

    def __init__(self, spec: ImageSpec, width: int) -> None:
        super().__init__()
        check_side(spec, STRIDE_PX)
        self.convolve = convolve(6, 24, 40, 64, 64, 96, 96)
        self.project = nn.Linear(2 * 96, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, image: Tensor) -> Tensor:
        maps = self.convolve(contrasted(image))
        return self.norm(self.project(quarters(maps)))  # type: ignore[no-any-return]
