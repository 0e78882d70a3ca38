"""The head that gives every window a place near those that mean the same."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from engines.example import Example
from engines.fusion.mask import masked
from engines.output import RetrieveOutput
from engines.plan import Retrieve

SHARPEST = 100.0
LEAST = 1e-8


class RetrieveHead(nn.Module):
    """A slice that points somewhere; its target is the slice of the same example seen otherwise.

    After CLIP (Radford et al. 2021): each row shall be nearer to its own target than to those of
    all other rows, and the other way round. A trainer gives the slices under two sets of
    modalities, such as the picture alone and the text alone; a row of NaN takes no part.
    """

    def __init__(self, plan: Retrieve, output: RetrieveOutput, modalities: int) -> None:
        super().__init__()
        self.outputs = output.width
        self.sharpness = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def target(self, examples: Sequence[Example]) -> Tensor:
        """Nothing: the target is another answer of the fusion."""
        return torch.full((len(examples), self.outputs), torch.nan)

    def known(self, target: Tensor) -> Tensor:
        """Which rows take part."""
        return ~target.isnan().any(1)

    def loss(self, part: Tensor, target: Tensor) -> Tensor:
        """InfoNCE, the mean of both directions."""
        known = self.known(target)
        wanted = torch.where(known.unsqueeze(1), target, torch.ones_like(target))
        sharpness = self.sharpness.exp().clamp(max=SHARPEST)
        near = sharpness * self.answer(part) @ self.answer(wanted).T
        own = torch.arange(len(part), device=part.device)
        losses = [
            nn.functional.cross_entropy(way + masked(known), own, reduction="none")
            for way in (near, near.T)
        ]
        return torch.where(known, (losses[0] + losses[1]) / 2, torch.zeros_like(losses[0]))

    def answer(self, part: Tensor) -> Tensor:
        """The embedding, of length 1."""
        # Nothing at all has a length of 0; ONNX Runtime folds what is only added to it.
        length = (part * part).sum(1, keepdim=True).clamp(min=LEAST)
        return part / length.sqrt()
