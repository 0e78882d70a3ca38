"""Which examples are learned from, and in which order: functions of the seed alone."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

BLOCKS = 200


def seed_of(*numbers: int) -> int:
    """One seed made of several numbers."""
    return int(np.random.SeedSequence([n % 2**32 for n in numbers]).generate_state(1)[0])


def epoch_order(n: int, seed: int, epoch: int) -> Tensor:
    """The order of n examples in an epoch: int64 (n,)."""
    generator = torch.Generator().manual_seed(seed_of(seed, epoch))
    return torch.randperm(n, generator=generator)


def split_fold(n: int, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """The examples to learn from, and the fold that only decides: when to stop, how sure to be.

    The fold is made of whole blocks, since neighbours in a log look alike. It is empty if the
    examples are too few to spare any.
    """
    n_blocks = min(BLOCKS, n)
    n_held = round(share * n_blocks)
    generator = torch.Generator().manual_seed(seed_of(seed, 1))
    held = torch.randperm(n_blocks, generator=generator)[:n_held] if n_held else torch.empty(0)
    block = torch.arange(n) * n_blocks // max(n, 1)
    in_fold = torch.isin(block, held.long())
    numbers = torch.arange(n)
    return numbers[~in_fold], numbers[in_fold]
