"""The encodings of one stream that is fused: each window once, at once or on a worker."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from engines.bundle import EncoderSpec
from pipeline.error import OverwrittenError
from pipeline.frontend import FrontEnd
from pipeline.sample import Sample

# Number and time: a publisher that starts anew counts from zero again.
Key: TypeAlias = "tuple[int, int]"


class Inline(Executor):
    """Runs each call at once, in the calling thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except OverwrittenError as error:
            future.set_exception(error)
        return future


@dataclass(frozen=True, slots=True)
class Token:
    """An encoded window, and when each step towards it was done."""

    tokens: npt.NDArray[np.float32]
    started_ns: int
    prepared_ns: int
    encoded_ns: int


@dataclass(slots=True)
class Taken:
    """A sample that was taken in, and the encoding of the window that ends with it, if any."""

    published_ns: int
    accepted_ns: int
    token: Future[Token] | None = None


@dataclass(slots=True)
class Input:
    """One stream that the node fuses: how it is encoded, and what it has taken in of it."""

    modality: str
    spec: EncoderSpec
    front_end: FrontEnd
    eager: bool
    _taken: dict[Key, Taken] = field(default_factory=dict)
    _kept: tuple[Key, Taken] | None = None

    def take(self, sample: Sample, now_ns: int) -> Taken:
        """The books of a sample; it was taken in now if it was not before."""
        key = (sample.seq, sample.t_publish_ns)
        if self._kept is not None and self._kept[0] == key:
            return self._kept[1]
        if key not in self._taken:
            self._taken[key] = Taken(sample.t_publish_ns, now_ns)
        return self._taken[key]

    def keep(self, sample: Sample) -> None:
        """Keep the books of this sample, until those of another are kept, whatever is forgotten."""
        key = (sample.seq, sample.t_publish_ns)
        self._kept = (key, self.take(sample, sample.t_publish_ns))

    def is_encoded(self, sample: Sample) -> bool:
        """Whether the window that ends with a sample is encoded, or is being so."""
        return self.take(sample, sample.t_publish_ns).token is not None

    def forget(self, before: Sample) -> None:
        """Drop what no later prediction can use; an encoding that has not begun never does."""
        while self._taken:
            key, first = next(iter(self._taken.items()))
            if first.published_ns >= before.t_publish_ns:
                return
            del self._taken[key]
            if first.token is not None:
                first.token.cancel()

    def __len__(self) -> int:
        return len(self._taken)
