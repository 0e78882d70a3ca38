"""What a head that retrieves compares with: embeddings of the past, and what and when they were."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engines.bundle import Manifest
from engines.error import EngineError
from engines.output import RetrieveOutput

NEAREST = 5
FIELDS = ("head", "bundle", "names", "embeddings")


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """Of one head: `names` and their embeddings float32 (n, size), each of length 1.

    `bundle` is the hash of the fusion that made them: those of another one mean something else.
    """

    head: str
    bundle: str
    names: Sequence[str]
    embeddings: npt.NDArray[np.float32]

    def nearest(self, embedding: npt.NDArray[np.float32]) -> dict[str, float]:
        """{name: cosine}, the nearest first; of equal ones the one that stands first."""
        near = self.embeddings @ embedding
        order = np.argsort(-near, kind="stable")[:NEAREST]
        return {self.names[at]: float(near[at]) for at in order}


def retrieve_head(manifest: Manifest, name: str = "") -> str:
    """The head of this name, or the only one, that retrieves. Raises EngineError."""
    heads = [n for n, head in manifest.heads.items() if isinstance(head, RetrieveOutput)]
    found = [n for n in heads if n == name] if name else heads
    if len(found) != 1:
        there = ", ".join(heads) or "none"
        raise EngineError(f"bundle {manifest.name}: heads that retrieve: {there}; name one of them")
    return found[0]


def write_index(path: Path, index: Index) -> None:
    """Write an index. Raises EngineError."""
    try:
        with path.open("wb") as file:
            np.savez_compressed(
                file,
                allow_pickle=False,
                head=np.array(index.head),
                bundle=np.array(index.bundle),
                names=np.array(list(index.names), np.str_),
                embeddings=index.embeddings,
            )
    except OSError as error:
        raise EngineError(f"{path}: cannot be written: {error.strerror}") from error


def read_index(path: Path, manifest: Manifest) -> Index:
    """The index of a bundle's head. Raises EngineError where it is another's, or none."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            head, bundle, names, embeddings = (stored[field] for field in FIELDS)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise EngineError(
            f"{path}: is no index; make it with `sensorium index`: {error}"
        ) from error
    index = Index(str(head), str(bundle), names.tolist(), np.asarray(embeddings, np.float32))
    output = manifest.heads.get(index.head)
    size = output.size if isinstance(output, RetrieveOutput) else 0
    if index.bundle != manifest.fusion.sha256 or index.embeddings.shape != (len(names), size):
        raise EngineError(
            f"{path}: was made with another bundle than {manifest.name}; make it anew with"
            " `sensorium index`"
        )
    return index
