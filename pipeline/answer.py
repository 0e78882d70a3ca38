"""From the outputs of the fusion graph to what a prediction says, head by head."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt

from engines.caption import Speaker
from engines.compiled import CompiledBundle
from engines.engine import Engine
from engines.index import Index, read_index
from engines.output import CaptionOutput, Value

CAPTION_NS = 2_000_000_000  # at most one caption is begun in each such time


class Answers:
    """Reads the outputs of one tick after the other.

    A head that captions adds a word a tick, in `work`, which is called between two ticks. When it
    has said all, the text stays until a tick falls into the next CAPTION_NS of the clock: then it
    begins anew, with what is going on at that tick. So a replay that starts in the middle of a log
    soon speaks in step with the live run.
    """

    def __init__(self, model: CompiledBundle, index: str = "") -> None:
        """`index` is the file of a head that retrieves, if any. Raises EngineError."""
        self._heads = model.manifest.heads
        self._talks = {name: _Talk(model.speaker(name)) for name in model.manifest.captions}
        self._index: Index | None = read_index(Path(index), model.manifest) if index else None

    def use(self, model: CompiledBundle) -> None:
        """Go on with other engines of the same bundle."""
        for name, talk in self._talks.items():
            talk.use(model.decoders[name])

    def read(self, outputs: Mapping[str, npt.NDArray[Any]], tick_ns: int) -> dict[str, Value]:
        """{head: what it says}."""
        said: dict[str, Value] = {}
        for name, head in self._heads.items():
            array = outputs[name]
            if self._index and name == self._index.head:
                said[name] = self._index.nearest(array[0])
            elif isinstance(head, CaptionOutput):
                said[name] = self._talks[name].tick(array, tick_ns // CAPTION_NS)
            else:
                said[name] = head.read(array[0])
        return said

    def work(self) -> None:
        """Say the next word of what is being said; it is said once, whoever calls."""
        for talk in self._talks.values():
            talk.work()

    def captions(self) -> dict[str, str]:
        """What is being said, said to its end; for who has no next tick."""
        return {name: talk.finish() for name, talk in self._talks.items()}


class _Talk:
    """The captions of one head."""

    def __init__(self, speaker: Speaker) -> None:
        self._speaker = speaker
        self._text, self._turn, self._is_due = "", -1, False

    def use(self, engine: Engine) -> None:
        self._speaker.use(engine)

    def tick(self, memory: npt.NDArray[Any], turn: int) -> str:
        """The text so far. One that is whole is followed by another in a later turn."""
        self.work()
        if self._speaker.is_done and turn != self._turn:
            self._speaker.begin(memory)
            self._turn = turn
        self._is_due = not self._speaker.is_done
        return self._text

    def work(self) -> None:
        """The word of this tick."""
        if self._is_due:
            self._is_due = False
            self._speaker.step()
            self._text = self._speaker.text

    def finish(self) -> str:
        while not self._speaker.is_done:
            self._speaker.step()
        self._text, self._is_due = self._speaker.text, False
        return self._text
