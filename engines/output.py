"""What the heads of a bundle say: the meaning of each output array, and of the words behind it.

An Output stands in `bundle.json` under the name of its head. `width` is how many numbers the
fusion graph gives for it, and `read` turns them into what a prediction holds.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, TypeAlias

import numpy as np
import numpy.typing as npt
from msgspec import Meta, Struct

Count: TypeAlias = Annotated[int, Meta(ge=1)]
# Probabilities by label or a number by name; an embedding or a small form; a text.
Value: TypeAlias = dict[str, float] | list[float] | str
Row: TypeAlias = npt.NDArray[Any]
MEMORIES = 4  # vectors that a caption is spoken from
MATCH = "match"


class File(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of the bundle and the SHA-256 of its bytes."""

    file: Annotated[str, Meta(pattern=r"^[\w-]+\.\w+$")]
    sha256: str


class ClassifyOutput(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="classify"
):
    """One of the labels: their probabilities sum to 1."""

    labels: tuple[str, ...]
    label_set: str = "truth"

    @property
    def width(self) -> int:
        return len(self.labels)

    def read(self, row: Row) -> Value:
        """{label: probability}."""
        return dict(zip(self.labels, row.tolist(), strict=True))


class DetectOutput(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="detect"
):
    """Any of the labels: each has a probability of its own."""

    labels: tuple[str, ...]
    label_set: str = "truth"

    @property
    def width(self) -> int:
        return len(self.labels)

    def read(self, row: Row) -> Value:
        """{label: probability}."""
        return dict(zip(self.labels, row.tolist(), strict=True))


class MatchOutput(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="match"
):
    """The probability that the modalities belong together."""

    @property
    def width(self) -> int:
        return 1

    def read(self, row: Row) -> Value:
        """{"match": probability}."""
        return {MATCH: float(row[0])}


class RetrieveOutput(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="retrieve"
):
    """An embedding of length 1 with `size` members."""

    size: Count

    @property
    def width(self) -> int:
        return self.size

    def read(self, row: Row) -> Value:
        """The embedding."""
        return list(row.tolist())


class CaptionOutput(
    File, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="caption"
):
    """A text of at most `length` words, which the graph in `file` says one after the other.

    Word 0 is the end, word n stands at n - 1 in the vocabulary. `size` is that of a memory.
    """

    vocabulary: tuple[str, ...]
    length: Count
    size: Count
    label_set: str = "caption"

    @property
    def width(self) -> int:
        return MEMORIES * self.size

    def read(self, row: Row) -> Value:
        """The memories, which engines.caption.Speaker puts into words."""
        return list(row.tolist())

    def text(self, words: npt.NDArray[np.int32]) -> str:
        """The text of word numbers up to the first end."""
        numbers = words.tolist()
        end = numbers.index(0) if 0 in numbers else len(numbers)
        return " ".join(self.vocabulary[number - 1] for number in numbers[:end])


class ReconstructOutput(
    Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="reconstruct",
):
    """A small form of what the modality `of` saw, heard or read; engines.small makes it."""

    of: str
    shape: tuple[Count, ...]

    @property
    def width(self) -> int:
        return math.prod(self.shape)

    def read(self, row: Row) -> Value:
        """The small form, flat."""
        return list(row.tolist())


class RegressOutput(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="regress"
):
    """A number of the quantity `name`; `mean` and `spread` are those it was trained with."""

    name: str
    unit: str
    mean: float
    spread: Annotated[float, Meta(gt=0)]

    @property
    def width(self) -> int:
        return 1

    def read(self, row: Row) -> Value:
        """{name: value}."""
        return {self.name: float(row[0])}


Output: TypeAlias = (
    ClassifyOutput
    | DetectOutput
    | MatchOutput
    | RetrieveOutput
    | CaptionOutput
    | ReconstructOutput
    | RegressOutput
)


def main_head(outputs: dict[str, Output]) -> str:
    """The first head that classifies, else detects, else has numbers with names, else the first."""
    for kinds in (ClassifyOutput, DetectOutput, MatchOutput | RegressOutput):
        for name, output in outputs.items():
            if isinstance(output, kinds):
                return name
    return next(iter(outputs), "")


def names_of(output: Output) -> tuple[str, ...]:
    """The names that an event can ask for the value of; none of an embedding or a text."""
    match output:
        case ClassifyOutput() | DetectOutput():
            return output.labels
        case MatchOutput():
            return (MATCH,)
        case RegressOutput():
            return (output.name,)
    return ()
