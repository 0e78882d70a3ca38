"""The interface of the heads: what each makes of its slice of the fusion's outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from engines.example import Example


class Head(Protocol):
    """A torch module with a slice (B, outputs) of the fusion's outputs.

    Heads whose answer is a probability also have a buffer `temperature` (2^M,), by which the slice
    is divided in the exported graph: entry n is that of the set of present modalities whose
    numbers are the bits of n. It is 1 until a trainer fits it.
    """

    outputs: int

    def target(self, examples: Sequence[Example]) -> Tensor:
        """What the slices should become (B, ...); a row says if it is unknown, see `known`."""
        ...

    def known(self, target: Tensor) -> Tensor:
        """Which rows of a target say something: bool (B,)."""
        ...

    def loss(self, part: Tensor, target: Tensor) -> Tensor:
        """The loss of each row (B,), 0 where the target is unknown, and never NaN."""
        ...

    def answer(self, part: Tensor) -> Tensor:
        """What the exported graph gives for a slice (B, outputs)."""
        ...
