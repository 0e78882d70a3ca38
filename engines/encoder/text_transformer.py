"""A small transformer over grams of bytes, with positions: its tokens are stretches of the text."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engines.bundle import TextSpec
from engines.encoder.attention import Attention
from engines.encoder.letters import GRAM, Grams, known_letters
from engines.fusion.mask import masked

LAYERS = 2
STRETCHES = 8


class TextTransformer(nn.Module):
    """Bytes plus one, int32 (B, length), zero is padding, to tokens (B, 8, D), in reading order.

    Each is the mean over an eighth of `length`, with its place; one that is all padding is the
    place alone.
    """

    TOKENS = STRETCHES

    def __init__(self, spec: TextSpec, width: int) -> None:
        super().__init__()
        self.lack = -spec.length % STRETCHES
        self.grams = Grams(spec.vocabulary)
        self.position = nn.Parameter(0.1 * torch.randn(spec.length, GRAM))
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.project = nn.Linear(GRAM, width)
        self.place = nn.Parameter(0.1 * torch.randn(STRETCHES, width))
        self.norm = nn.LayerNorm(width)

    def forward(self, text: Tensor) -> Tensor:
        known = known_letters(text)
        mask = masked(known.squeeze(2) > 0.5)[:, None, None, :]
        states: Tensor = self.grams(text, known) + self.position
        for layer in self.layers:
            states = layer(states, mask)
        means = self._stretched(states * known) / self._stretched(known).clamp(min=1.0)
        return self.norm(self.project(means) + self.place)  # type: ignore[no-any-return]

    def _stretched(self, values: Tensor) -> Tensor:
        """Sums over each stretch: (B, length, n) to (B, 8, n)."""
        filled = nn.functional.pad(values, (0, 0, 0, self.lack))
        length, n = filled.shape[1:]
        return filled.reshape(-1, STRETCHES, length // STRETCHES, n).sum(2)


class Layer(nn.Module):
    """A pre-norm transformer layer."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(GRAM)
        self.attend = Attention(GRAM)
        self.think = nn.Sequential(
            nn.LayerNorm(GRAM), nn.Linear(GRAM, 2 * GRAM), nn.ReLU(), nn.Linear(2 * GRAM, GRAM)
        )

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        states = states + self.attend(self.norm(states), mask)
        return states + self.think(states)  # type: ignore[no-any-return]
