"""The small sound encoder: 3x3 convolutions with ReLU over log-mel energies or MFCC."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engines.bundle import AudioSpec
from engines.encoder.convolve import convolve
from engines.encoder.sound import Changes, Unit

STRIDE = 16
QUARTERS = 4


class AudioCnn(nn.Module):
    """Features (B, 1, frames, bands) to tokens (B, 4, D), one a quarter of the bands.

    The bands are filled up with zeros to a multiple of 64.
    """

    TOKENS = QUARTERS

    def __init__(self, spec: AudioSpec, width: int) -> None:
        super().__init__()
        self.unit, self.changes = Unit(spec), Changes(spec)
        self.lack = -spec.bands % (STRIDE * QUARTERS)
        self.per_quarter = (spec.bands + self.lack) // (STRIDE * QUARTERS)
        self.convolve = convolve(2, 16, 32, 64, 96)
        self.project = nn.Linear(2 * 96, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, audio: Tensor) -> Tensor:
        planes = torch.cat([self.unit(audio), self.changes(audio)], 1)
        if self.lack:
            planes = nn.functional.pad(planes, (0, self.lack))
        maps = self.convolve(planes)
        if self.per_quarter > 1:
            maps = nn.functional.max_pool2d(maps, (1, self.per_quarter))
        tokens = torch.cat([maps.mean(2), maps.amax(2)], 1).transpose(1, 2)
        return self.norm(self.project(tokens))  # type: ignore[no-any-return]
