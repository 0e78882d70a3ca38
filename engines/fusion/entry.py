"""The entry of every fusion: tokens with their kind and age, and nothing of a missing one."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

OLDEST_S = 30.0


class Sizes(NamedTuple):
    """What a fusion is made for: D, the number of modalities, that of its outputs, and which of
    them are the classes of the main head, if it has some."""

    width: int
    modalities: int
    outputs: int
    classes: slice | None = None


class Entered(NamedTuple):
    """Finite values (B, N, D), bool there (B, N), int modality (1 or B, N), age_s (B, N)."""

    values: Tensor
    there: Tensor
    modality: Tensor
    age_s: Tensor


class Entry(nn.Module):
    """Adds to each token what it is and how old. A missing token is replaced by a learned one."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.kind = nn.Embedding(sizes.modalities, sizes.width)
        self.missing = nn.Parameter(torch.zeros(sizes.width))
        self.age = nn.Linear(2, sizes.width)

    def forward(self, tokens: Tensor, modality: Tensor, age: Tensor, present: Tensor) -> Entered:
        there = present > 0.5
        age_s = torch.where(there, age, torch.zeros_like(age)).clamp(0.0, OLDEST_S)
        ages = torch.stack([torch.log1p(age_s), age_s / 10.0], 2)
        values = (
            torch.where(there.unsqueeze(2), tokens, self.missing)
            + self.kind(modality)
            + self.age(ages)
        )
        return Entered(values, there, modality, age_s)
