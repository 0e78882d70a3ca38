"""The interface of a compiled graph: named arrays in, named arrays out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from engines.error import EngineError


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """The type and shape of an input or output."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]


class Engine(Protocol):
    """A graph, loaded and ready to run. Every backend passes the same contract tests."""

    @property
    def backend(self) -> str: ...

    @property
    def inputs(self) -> Mapping[str, TensorSpec]: ...

    @property
    def outputs(self) -> Mapping[str, TensorSpec]: ...

    def run(self, feeds: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """The outputs for these inputs. Raises EngineError for a wrong name, dtype or shape."""
        ...

    def close(self) -> None:
        """Release everything; a second call does nothing, `run` afterwards raises EngineError."""
        ...


def check_feeds(specs: Mapping[str, TensorSpec], feeds: Mapping[str, npt.NDArray[Any]]) -> None:
    """Raise EngineError, naming the input, unless the feeds are what the specs say."""
    if feeds.keys() != specs.keys():
        raise EngineError(f"inputs are {sorted(specs)}, not {sorted(feeds)}")
    for name, spec in specs.items():
        feed = feeds[name]
        if feed.dtype != spec.dtype or feed.shape != spec.shape:
            raise EngineError(
                f"input {name} is {spec.dtype} {spec.shape}, not {feed.dtype} {feed.shape}"
            )
