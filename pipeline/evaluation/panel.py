"""What a bundle answers to windows of which any part may be left out, spoilt or another's.

Samples go through the real aligner and front ends, and each stream is encoded once, as in a node.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from engines.compiled import CompiledBundle
from engines.output import ReconstructOutput
from engines.slots import Slots
from engines.small import small
from pipeline.config import Config
from pipeline.dataset import ExampleCutter
from pipeline.inputs import choose_inputs
from pipeline.sample import Sample
from pipeline.stream import MODALITY, kind_of

Samples: TypeAlias = Mapping[str, Sequence[Sample]]
Row: TypeAlias = npt.NDArray[np.float32]


class Token(NamedTuple):
    """What an encoder made of a stream's window: tokens (1, tokens, width), and how old it was.

    `seconds` is what that took; `small` the small form of the window, where a head rebuilds it.
    """

    tokens: Row
    age_s: float
    seconds: float
    small: Row | None


class Answer(NamedTuple):
    """{head: its output, flat}, and the seconds that front ends, encoders and fusion took."""

    rows: dict[str, Row]
    seconds: float


class Panel:
    """Encodes streams and fuses what is left of them."""

    def __init__(self, config: Config, model: CompiledBundle) -> None:
        """Raises ConfigError, EngineError where the bundle cannot take the streams."""
        chosen = choose_inputs(config, model.manifest)
        self._model, self._slots = model, Slots(model.manifest, chosen)
        self._cutter = ExampleCutter(config, model.manifest.encoders, model.folder)
        self.streams = [stream for streams in chosen.values() for stream in streams]
        self.modalities = [modality for modality, streams in chosen.items() if streams]
        heads = model.manifest.heads.values()
        self._rebuilt = {head.of for head in heads if isinstance(head, ReconstructOutput)}

    def encode(self, samples: Samples, tick_ns: int) -> dict[str, Token]:
        """{stream: its token} of those that have a window. Raises RefusedError."""
        made = {}
        for stream in self.streams:
            began_s = time.perf_counter()
            found = self._cutter.take(stream, samples.get(stream, ()), tick_ns)
            if found is not None:
                modality = MODALITY[kind_of(stream)]
                tokens = self._model.encode(modality, found[0])
                seconds = time.perf_counter() - began_s
                form = small(modality, found[0]) if modality in self._rebuilt else None
                made[stream] = Token(tokens, found[1], seconds, form)
        return made

    def answer(self, tokens: Mapping[str, Token]) -> Answer:
        """What the heads say to these tokens."""
        began_s = time.perf_counter()
        self._slots.clear()
        for stream, token in tokens.items():
            self._slots.put(stream, token.tokens, token.age_s)
        outputs = self._model.fusion.run(self._slots.feeds())
        rows = {name: outputs[name][0].copy() for name in self._model.manifest.heads}
        fused_s = time.perf_counter() - began_s
        return Answer(rows, fused_s + sum(token.seconds for token in tokens.values()))
