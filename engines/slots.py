"""The token slots of a fusion graph: which token of which stream lies where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from engines.bundle import Manifest
from engines.error import EngineError


class Slots:
    """The inputs of the fusion graph for a fixed set of streams, in fixed buffers.

    Slots lie in the order of modality, stream, token. `streams` is {modality: streams}, each at
    most as many as the bundle takes.
    """

    def __init__(self, manifest: Manifest, streams: Mapping[str, Sequence[str]]) -> None:
        self._places: dict[str, slice] = {}
        modality, start = [], 0
        for index, (name, spec) in enumerate(manifest.specs.items()):
            named = streams.get(name, ())
            if len(named) > spec.max_streams:
                raise EngineError(
                    f"{len(named)} {name} streams: bundle {manifest.name} takes {spec.max_streams}"
                )
            for at, stream in enumerate(named):
                first = start + at * spec.tokens
                self._places[stream] = slice(first, first + spec.tokens)
            modality += [index] * (spec.tokens * spec.max_streams)
            start = len(modality)
        self._tokens = np.zeros((1, start, manifest.width), np.float32)
        self._modality = np.array([modality], np.int32)
        self._age = np.zeros((1, start), np.float32)
        self._present = np.zeros((1, start), np.float32)

    def clear(self) -> None:
        """Mark every slot as missing."""
        self._present[:] = 0.0

    def put(self, stream: str, tokens: npt.NDArray[np.float32], age_s: float) -> None:
        """Lay down the tokens (1, tokens, width) of one stream."""
        place = self._places[stream]
        self._tokens[:, place] = tokens
        self._age[:, place] = age_s
        self._present[:, place] = 1.0

    def feeds(self) -> dict[str, npt.NDArray[np.generic]]:
        """The inputs of the fusion graph, valid until the next `clear` or `put`."""
        return {
            "tokens": self._tokens,
            "modality": self._modality,
            "age": self._age,
            "present": self._present,
        }

    def share(self, stream: str, attention: npt.NDArray[np.float32]) -> float:
        """How much of the attention (1, slots) a stream got."""
        return float(attention[0, self._places[stream]].sum())
