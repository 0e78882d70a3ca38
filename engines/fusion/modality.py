"""One vector a modality, the mean of its slots: four cameras do not outvote a microphone."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from engines.fusion.entry import Entered
from engines.fusion.mask import masked


class Modalities(NamedTuple):
    """Vectors (B, M, D), bool there (B, M), age_s (B, M), and slots (B, M, N), which sum to 1.

    `slots` says how a vector is made of the slots. The vector of a missing modality is the learned
    one of its kind.
    """

    vectors: Tensor
    there: Tensor
    age_s: Tensor
    slots: Tensor


def by_modality(entered: Entered, n: int) -> Modalities:
    """The mean over the present slots of each of n modalities."""
    numbers = torch.arange(n, dtype=entered.modality.dtype, device=entered.modality.device)
    own = entered.modality.unsqueeze(1) == numbers[:, None]
    there = entered.there.unsqueeze(1)
    # A missing slot of its own still counts for more than any slot of another modality.
    slots = torch.softmax(2.0 * masked(own) + masked(there), 2)
    present = (own & there).float().amax(2) > 0.5
    age_s = (slots @ entered.age_s.unsqueeze(2)).squeeze(2)
    return Modalities(slots @ entered.values, present, age_s, slots)


def average(weight: Tensor, vectors: Tensor) -> Tensor:
    """The sum of vectors (B, n, D), each times its weight (B, n)."""
    return (weight.unsqueeze(1) @ vectors).squeeze(1)


class EachLinear(nn.Module):
    """A linear layer of its own for each modality: (B, M, inputs) to (B, M, outputs)."""

    def __init__(self, n: int, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = inputs**-0.5
        self.weight = nn.Parameter(torch.empty(n, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(n, outputs))

    def forward(self, vectors: Tensor) -> Tensor:
        return (vectors.transpose(0, 1) @ self.weight).transpose(0, 1) + self.bias
