"""The encoder of short, misspelt texts: a recurrent net, and a bag of grams beside it.

A gram of three letters has a vector of its own, found without hashing: bytes fall into 32 classes,
and three of them number the gram. The bag is a token that a fusion may read for what the text says
of other modalities, whatever the recurrent net has learned to look for.
"""

from __future__ import annotations

import string

import torch
from torch import Tensor, nn

from engines.bundle import TextSpec
from engines.encoder.letters import GRAM, Grams, known_letters, mean_and_peak

CLASSES = 32
STATE, VECTOR = 64, 48
DROPPED, GRAMS_DROPPED = 0.2, 0.3
BLANK, DIGIT, OTHER = 1, 28, 29
BAG_SCALE = 0.25


class TextGrams(nn.Module):
    """Bytes plus one, int32 (B, length), to tokens (B, 3, D): mean, maximum, and the bag."""

    TOKENS = 3
    classes: Tensor

    def __init__(self, spec: TextSpec, width: int) -> None:
        super().__init__()
        self.register_buffer("classes", _classes(spec.vocabulary), persistent=False)
        self.soft = Grams(spec.vocabulary)
        self.exact = nn.Embedding(CLASSES**3, VECTOR)
        nn.init.normal_(self.exact.weight, std=0.1)
        self.recur = nn.GRU(GRAM + VECTOR, STATE, batch_first=True, bidirectional=True)
        self.drop, self.drop_grams = nn.Dropout(DROPPED), nn.Dropout(GRAMS_DROPPED)
        self.project, self.norm = nn.Linear(2 * STATE, width), nn.LayerNorm(width)
        bag = [nn.Linear(VECTOR, 2 * width), nn.ReLU(), nn.Linear(2 * width, width)]
        self.bag, self.norm_bag = nn.Sequential(*bag), nn.LayerNorm(width)

    def forward(self, text: Tensor) -> Tensor:
        known = known_letters(text)
        exact = self.drop_grams(self.exact(self._numbers(text))) * known
        states, _ = self.recur(self.drop(torch.cat([self.soft(text, known), exact], 2)))
        tokens = self.norm(self.project(self.drop(mean_and_peak(states, known))))
        bag = self.norm_bag(self.bag(exact.sum(1) * BAG_SCALE))
        return torch.cat([tokens, bag.unsqueeze(1)], 1)

    def _numbers(self, text: Tensor) -> Tensor:
        """The number of the gram around each letter: int (B, length)."""
        kinds = torch.index_select(self.classes, 0, text.flatten()).reshape(text.shape)
        edge = torch.full_like(kinds[:, :1], BLANK)
        before = torch.cat([edge, kinds[:, :-1]], 1)
        after = torch.cat([kinds[:, 1:], edge], 1)
        return (before * CLASSES + kinds) * CLASSES + after


def _classes(vocabulary: int) -> Tensor:
    """The class of each byte plus one: int32 (vocabulary + 1,); 0 is padding."""
    classes = torch.full((vocabulary + 1,), OTHER, dtype=torch.int32)
    classes[0] = 0
    classes[ord(" ") + 1] = BLANK
    for number, letter in enumerate(string.ascii_lowercase):
        classes[ord(letter) + 1] = 2 + number
    for digit in string.digits:
        classes[ord(digit) + 1] = DIGIT
    return classes
