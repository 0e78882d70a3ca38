"""Finite masks: what is missing gets a weight of exactly 0, unless everything is missing."""

from __future__ import annotations

import torch
from torch import Tensor

MASKED = -1e4  # finite; three of them add up to what half precision still holds
LEAST_STRENGTH = 1e-6


def masked(there: Tensor) -> Tensor:
    """What to add to scores: 0 where `there` (bool) holds, MASKED elsewhere."""
    return (1.0 - there.float()) * MASKED


def shares(strength: Tensor, there: Tensor) -> Tensor:
    """Strengths >= 0 (B, n) as shares of 1 among those that are there, or of all if none is."""
    return torch.softmax(torch.log(strength + LEAST_STRENGTH) + masked(there), 1)
