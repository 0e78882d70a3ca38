"""A generic encoder of readings: convolutions over time, for windows of any length."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engines.bundle import ReadingsSpec

CHANNELS = 48


class ReadingsConv(nn.Module):
    """Readings float32 (B, window, n) to tokens (B, 2, D): how they change, and where they are.

    Whatever their unit, values enter through a soft logarithm, sign(x) log(1 + |x|).
    """

    TOKENS = 2

    def __init__(self, spec: ReadingsSpec, width: int) -> None:
        super().__init__()
        n = len(spec.names)
        self.convolve = nn.Sequential(
            nn.Conv2d(3 * n, CHANNELS, (3, 1), padding=(1, 0), bias=False),
            nn.BatchNorm2d(CHANNELS),
            nn.ReLU(),
            nn.Conv2d(CHANNELS, CHANNELS, (3, 1), padding=(1, 0), bias=False),
            nn.BatchNorm2d(CHANNELS),
            nn.ReLU(),
        )
        self.changes, self.level = nn.Linear(2 * CHANNELS, width), nn.Linear(2 * n, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, readings: Tensor) -> Tensor:
        soft = _soft(readings)
        centred = readings - readings.mean(1, keepdim=True)
        steps = nn.functional.pad(readings[:, 1:] - readings[:, :-1], (0, 0, 1, 0))
        planes = torch.cat([soft - soft.mean(1, keepdim=True), _soft(centred), _soft(steps)], 2)
        maps = self.convolve(planes.transpose(1, 2).unsqueeze(3)).squeeze(3)
        changes = self.changes(torch.cat([maps.mean(2), maps.amax(2)], 1))
        level = self.level(torch.cat([soft.mean(1), soft[:, -1]], 1))
        return self.norm(torch.stack([changes, level], 1))  # type: ignore[no-any-return]


def _soft(values: Tensor) -> Tensor:
    return torch.sign(values) * torch.log(values.abs() + 1.0)
