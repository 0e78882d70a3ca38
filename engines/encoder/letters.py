"""What the text encoders that read bytes begin and end with."""

from __future__ import annotations

import torch
from torch import Tensor, nn

LETTER = 32
GRAM = 96


class Grams(nn.Module):
    """int32 (B, length), zero is padding, to grams of five letters (B, length, 96), >= 0."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary + 1, LETTER)
        self.grams = nn.Conv2d(LETTER, GRAM, (1, 5), padding=(0, 2))

    def forward(self, text: Tensor, known: Tensor) -> Tensor:
        letters = self.embed(text) * known
        grams = self.grams(letters.transpose(1, 2).unsqueeze(2)).squeeze(2).transpose(1, 2)
        return torch.relu(grams) * known


def known_letters(text: Tensor) -> Tensor:
    """1.0 where a letter is, 0.0 at padding: float32 (B, length, 1)."""
    return (text > 0).float().unsqueeze(2)


def mean_and_peak(states: Tensor, known: Tensor) -> Tensor:
    """States in (-1, 1), (B, length, n), as their mean and maximum over the letters: (B, 2, n)."""
    mean = (states * known).sum(1) / known.sum(1).clamp(min=1.0)
    peak = (states * known + known - 1.0).amax(1)  # padding is -1
    return torch.stack([mean, peak], 1)
