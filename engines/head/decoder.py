"""The decoder of captions: words so far and a few memories in, the next word out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engines.fusion.mask import MASKED
from engines.output import MEMORIES

PARTS = 4  # attention heads
LAYERS = 2


class Layer(nn.Module):
    """A pre-norm layer: words read the words before them, then the memories, then think."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(size) for _ in range(3))
        self.own, self.mix = nn.Linear(size, 3 * size), nn.Linear(size, size)
        self.ask, self.told = nn.Linear(size, size), nn.Linear(size, 2 * size)
        self.mix_told = nn.Linear(size, size)
        self.think = nn.Sequential(nn.Linear(size, 2 * size), nn.ReLU(), nn.Linear(2 * size, size))

    def forward(self, words: Tensor, memories: Tensor, later: Tensor) -> Tensor:
        query, key, value = self.own(self.norms[0](words)).chunk(3, 2)
        words = words + self.mix(_attend(query, key, value, later))
        key, value = self.told(memories).chunk(2, 2)
        query = self.ask(self.norms[1](words))
        words = words + self.mix_told(_attend(query, key, value, torch.zeros_like(later[:, :1])))
        return words + self.think(self.norms[2](words))  # type: ignore[no-any-return]


class Decoder(nn.Module):
    """Memories (B, MEMORIES * size) and words int32 (B, length) to logits (B, length, words + 1).

    The logits at n are those of word n, and know the words before it only; word 0 is the end.
    """

    def __init__(self, words: int, length: int, size: int) -> None:
        super().__init__()
        self.size = size
        self.embed = nn.Embedding(words + 1, size)
        self.start = nn.Parameter(torch.randn(1, 1, size))
        self.place = nn.Parameter(torch.zeros(1, length, size))
        self.recall = nn.LayerNorm(size)
        self.layers = nn.ModuleList(Layer(size) for _ in range(LAYERS))
        self.norm, self.say = nn.LayerNorm(size), nn.Linear(size, words + 1)
        later = torch.full((length, length), MASKED).triu(1)
        self.register_buffer("later", later, persistent=False)

    def forward(self, memory: Tensor, words: Tensor) -> Tensor:
        memories = self.recall(memory.reshape(-1, MEMORIES, self.size))
        before = self.embed(words[:, :-1])
        states = torch.cat([self.start.expand(len(memory), -1, -1), before], 1) + self.place
        for layer in self.layers:
            states = layer(states, memories, self.later)
        return self.say(self.norm(states))  # type: ignore[no-any-return]


def _attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """Attention by hand in PARTS; the mask is added to scores (B, PARTS, queries, keys)."""
    n, length, size = query.shape
    each = size // PARTS
    asked, keys, values = (
        x.reshape(n, x.shape[1], PARTS, each).transpose(1, 2) for x in (query, key, value)
    )
    scores = asked @ keys.transpose(2, 3) * each**-0.5 + mask
    return (torch.softmax(scores, 3) @ values).transpose(1, 2).reshape(n, length, size)
