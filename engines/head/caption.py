"""The head that tells in words what is going on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from engines.draft import words_of
from engines.example import Example
from engines.head.decoder import Decoder
from engines.output import CaptionOutput
from engines.plan import Caption

UNKNOWN = -1


class CaptionHead(nn.Module):
    """A slice that is the decoder's memories; targets int64 (B, length), UNKNOWN or word numbers.

    Behind the last word stands 0. The decoder is a graph of its own: see engines.caption for how
    words are chosen from it.
    """

    def __init__(self, plan: Caption, output: CaptionOutput, modalities: int) -> None:
        super().__init__()
        self.outputs, self._set, self._length = output.width, plan.labels, output.length
        self._numbers = {word: number for number, word in enumerate(output.vocabulary, 1)}
        self.decoder = Decoder(len(output.vocabulary), output.length, output.size)

    def target(self, examples: Sequence[Example]) -> Tensor:
        """The words of each example's newest caption that the vocabulary has."""
        rows = np.full((len(examples), self._length), UNKNOWN, np.int64)
        for row, example in zip(rows, examples, strict=True):
            if held := example.targets.get(self._set):
                words = [self._numbers[w] for w in words_of(held[-1]) if w in self._numbers]
                row[:] = (words + [0] * self._length)[: self._length]
        return torch.from_numpy(rows)

    def known(self, target: Tensor) -> Tensor:
        """Which rows are captions."""
        return target[:, 0] >= 0

    def loss(self, part: Tensor, target: Tensor) -> Tensor:
        """Cross entropy, the mean over the words and the end; each word is told those before it."""
        said = target.clamp(min=0)
        logits = self.decoder(part, said.to(torch.int32))
        losses = nn.functional.cross_entropy(logits.transpose(1, 2), said, reduction="none")
        # The first 0 ends the caption and is learned; what stands behind it is padding.
        before = nn.functional.pad(said[:, :-1], (1, 0), value=1)
        counts = (before > 0) & self.known(target).unsqueeze(1)
        return (losses * counts).sum(1) / counts.sum(1).clamp(min=1)

    def answer(self, part: Tensor) -> Tensor:
        """The memories."""
        return part
