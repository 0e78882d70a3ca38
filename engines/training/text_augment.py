"""Harmless changes of texts: wrong, lost and doubled letters, and words left out."""

from __future__ import annotations

import torch
from torch import Tensor

FIRST, LAST = ord("a") + 1, ord("z") + 1  # bytes plus one
BLANK = ord(" ") + 1
WORST = 0.12  # the largest share of wrong letters; half as many are lost, and added
P_WORD = 0.08
P_WORDS = 0.5  # share of the texts that lose words
MAX_WORDS = 24


def augmented_text(text: Tensor, strength: float) -> Tensor:
    """int32 (B, length): bytes plus one, zero is padding."""
    share = torch.rand(len(text), 1, device=text.device) * WORST * strength
    changed = replaced(text, share)
    return _without_words(_edited(changed, share / 2), P_WORD * strength)


def letters_like(text: Tensor) -> Tensor:
    """Random letters of the shape of a text."""
    return torch.randint(FIRST, LAST + 1, text.shape, dtype=text.dtype, device=text.device)


def replaced(text: Tensor, share: Tensor) -> Tensor:
    """A text with a share (B, 1) of its letters replaced by others; blanks stay."""
    hit = (torch.rand(text.shape, device=text.device) < share) & (text > BLANK)
    return torch.where(hit, letters_like(text), text)


def _edited(text: Tensor, share: Tensor) -> Tensor:
    """A share of the letters lost, and as many new ones between the others."""
    n, length = text.shape
    kept = torch.rand(text.shape, device=text.device) >= share
    adds = kept & (torch.rand(text.shape, device=text.device) < share)
    step = kept.long() + adds.long()
    place = step.cumsum(1) - step
    nowhere = torch.full_like(place, 2 * length)
    out = torch.zeros(n, 2 * length + 1, dtype=text.dtype, device=text.device)
    out.scatter_(1, torch.where(kept, place, nowhere), text)
    new = torch.where(text > BLANK, letters_like(text), torch.zeros_like(text))
    out.scatter_(1, torch.where(adds, place + 1, nowhere), new)
    return out[:, :length]


def _without_words(text: Tensor, share: float) -> Tensor:
    """A share of the words of some texts left out, and what follows moved up."""
    n, length = text.shape
    word = (text == BLANK).long().cumsum(1).clamp(max=MAX_WORDS - 1)
    some = torch.rand(n, 1, device=text.device) < P_WORDS
    lost = (torch.rand(n, MAX_WORDS, device=text.device) < share) & some
    gone = lost.gather(1, word) & (text != BLANK) & (text > 0)
    order = torch.argsort(gone.long(), dim=1, stable=True)
    n_kept = (~gone).sum(1, keepdim=True)
    moved = text.gather(1, order)
    return torch.where(torch.arange(length, device=text.device) < n_kept, moved, 0)
