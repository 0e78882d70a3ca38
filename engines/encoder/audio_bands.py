"""The encoder of short words: convolutions, and which band had what, at any time."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engines.bundle import AudioSpec
from engines.encoder.sound import Changes, Unit

CHANNELS = (24, 48, 64, 96)
STRIDES = (2, 2, 2, 1)
STRIDE = 8
DROPPED = 0.2


class AudioBands(nn.Module):
    """Features (B, 1, frames, bands) to one token (B, 1, D): each band's mean and peak in time."""

    TOKENS = 1

    def __init__(self, spec: AudioSpec, width: int) -> None:
        super().__init__()
        self.unit, self.changes = Unit(spec), Changes(spec)
        layers: list[nn.Module] = []
        before = 2
        for after, stride in zip(CHANNELS, STRIDES, strict=True):
            convolution = nn.Conv2d(before, after, 3, stride, 1, bias=False)
            layers += [convolution, nn.BatchNorm2d(after), nn.ReLU()]
            before = after
        self.convolve = nn.Sequential(*layers)
        self.drop = nn.Dropout(DROPPED)
        self.project = nn.Linear(2 * before * -(-spec.bands // STRIDE), width)
        self.norm = nn.LayerNorm(width)

    def forward(self, audio: Tensor) -> Tensor:
        maps = self.convolve(torch.cat([self.unit(audio), self.changes(audio)], 1))
        bands = torch.cat([maps.mean(2), maps.amax(2)], 1).flatten(1)
        token: Tensor = self.norm(self.project(self.drop(bands)))
        return torch.unsqueeze(token, 1)
