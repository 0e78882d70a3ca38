"""Captions at run time: one word after the other, always the likeliest."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from engines.engine import Engine
from engines.output import CaptionOutput


class Speaker:
    """Speaks what a memory holds; `step` adds a word, until `is_done`."""

    def __init__(self, engine: Engine, output: CaptionOutput) -> None:
        self._engine, self._output = engine, output
        self._memory = np.zeros((1, output.width), np.float32)
        self._words = np.zeros((1, output.length), np.int32)
        self._n = 0
        self.is_done = True

    def begin(self, memory: npt.NDArray[Any]) -> None:
        """Take another memory (1, width); nothing is said of it yet."""
        self._memory[:], self._words[:] = memory, 0
        self._n, self.is_done = 0, False

    def use(self, engine: Engine) -> None:
        """Go on with another engine of the same graph."""
        self._engine = engine

    def step(self) -> None:
        """Say the next word, or that there is none."""
        if self.is_done:
            return
        logits = self._engine.run({"memory": self._memory, "words": self._words})["logits"]
        # Of equal ones the lowest, so that every run says the same.
        word = int(logits[0, self._n].argmax())
        self._words[0, self._n] = word
        self._n += 1
        self.is_done = word == 0 or self._n == self._output.length

    @property
    def text(self) -> str:
        """What was said so far."""
        return self._output.text(self._words[0])

    def whole(self, memory: npt.NDArray[Any]) -> str:
        """The caption of a memory at once."""
        self.begin(memory)
        while not self.is_done:
            self.step()
        return self.text
