"""The encoder of small pictures, of 24 to 64 px: 3x3 convolutions that keep where things are."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engines.bundle import ImageSpec
from engines.encoder.picture import check_side, contrasted

CHANNELS = (32, 48, 64, 64, 96)
STRIDES = (2, 1, 2, 1, 2)
STRIDE = 8
DROPPED = 0.2


class ImageSmall(nn.Module):
    """uint8 RGB (B, height, width, 3) to one token (B, 1, D) of all places, in their order."""

    TOKENS = 1

    def __init__(self, spec: ImageSpec, width: int) -> None:
        super().__init__()
        check_side(spec, STRIDE)
        layers: list[nn.Module] = []
        before = 6
        for after, stride in zip(CHANNELS, STRIDES, strict=True):
            convolution = nn.Conv2d(before, after, 3, stride, 1, bias=False)
            layers += [convolution, nn.BatchNorm2d(after), nn.ReLU()]
            before = after
        self.convolve = nn.Sequential(*layers)
        places = -(-spec.height_px // STRIDE) * -(-spec.width_px // STRIDE)
        self.drop = nn.Dropout(DROPPED)
        self.project = nn.Linear(before * places, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, image: Tensor) -> Tensor:
        places = self.convolve(contrasted(image)).flatten(1)
        token: Tensor = self.norm(self.project(self.drop(places)))
        return torch.unsqueeze(token, 1)
