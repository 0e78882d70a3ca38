"""What every sound encoder begins with: features of about unit size, and how they change."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engines.bundle import AudioSpec


class Unit(nn.Module):
    """Features (B, 1, frames, bands) to about zero mean and unit spread, by fixed numbers.

    Log-mel energies lie around -6 with a spread of 4. MFCC `k` shrinks as 1 / (1 + k), and the
    first is the sum of the bands.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, spec: AudioSpec) -> None:
        super().__init__()
        self.plain = spec.features == "logmel"
        order, root = torch.arange(spec.bands), spec.mels**0.5
        self.register_buffer("shift", 6.0 * root * (order == 0), persistent=False)
        self.register_buffer("scale", (1.0 + order) / (2.0 * root), persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        if self.plain:
            return (audio + 6.0) / 4.0
        return (audio + self.shift) * self.scale


class Changes(nn.Module):
    """Features less their mean over the window: no steady background, no microphone's colour."""

    scale: Tensor

    def __init__(self, spec: AudioSpec) -> None:
        super().__init__()
        self.plain = spec.features == "logmel"
        self.register_buffer(
            "scale", (1.0 + torch.arange(spec.bands)) / spec.mels**0.5, persistent=False
        )

    def forward(self, audio: Tensor) -> Tensor:
        changes = audio - audio.mean(2, keepdim=True)
        if self.plain:
            return changes / 2.0
        return changes * self.scale
