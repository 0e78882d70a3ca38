"""A folder with windows as arrays on disk: written one by one, read without loading them.

`MODALITY.npy` holds encoder inputs, each once even if several windows have it; `MODALITY.row.npy`
says which of them a window has (-1: none) and `MODALITY.age.npy` how old it was, in seconds.
`target.npy` numbers the entries of `targets.json`: what each label set says. `tick.npy` has the
ticks in ns, `about.json` how many samples were refused and what was damaged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import overload

import msgspec
import numpy as np
from msgspec import Struct, field

from engines.bundle import Encoders
from engines.compiled import input_spec
from engines.example import Example
from pipeline.learning.row_file import RowFile, read_rows

Targets = dict[str, tuple[str, ...]]


class About(Struct, kw_only=True):
    """How the windows were cut. `refused` {stream: (samples, why the first)}.

    `empty` counts labelled ticks without an input; `damage` says where a log could not be read on.
    """

    windows: int = 0
    empty: int = 0
    refused: dict[str, tuple[int, str]] = field(default_factory=dict)
    damage: list[str] = field(default_factory=list)


class WindowWriter:
    """Writes a folder; use it in a `with` block."""

    def __init__(self, folder: Path, encoders: Encoders) -> None:
        self._folder = folder
        specs = {m: getattr(encoders, m) for m in Encoders.__struct_fields__}
        self._inputs: dict[str, RowFile] = {}
        self._rows: dict[str, RowFile] = {}
        self._ages: dict[str, RowFile] = {}
        for modality, spec in specs.items():
            if spec is not None:
                wanted = input_spec(spec)
                path = folder / f"{modality}.npy"
                self._inputs[modality] = RowFile(path, wanted.dtype, wanted.shape[1:])
                self._rows[modality] = RowFile(folder / f"{modality}.row.npy", np.int32)
                self._ages[modality] = RowFile(folder / f"{modality}.age.npy", np.float32)
        self._ticks = RowFile(folder / "tick.npy", np.int64)
        self._target = RowFile(folder / "target.npy", np.int32)
        self._targets: dict[bytes, int] = {}
        self.n_empty = 0

    def __enter__(self) -> WindowWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        files = (*self._inputs.values(), *self._rows.values(), *self._ages.values())
        for file in (*files, self._ticks, self._target):
            file.close()
        text = b"[" + b",\n".join(self._targets) + b"]\n"
        (self._folder / "targets.json").write_bytes(text)

    @property
    def n_windows(self) -> int:
        """How many were written."""
        return self._ticks.n_rows

    def write(self, tick_ns: int, example: Example) -> None:
        """Append one window, unless it is empty: that teaches nothing."""
        if not example.inputs:
            self.n_empty += 1
            return
        for modality, file in self._inputs.items():
            found = example.inputs.get(modality)
            self._rows[modality].append(-1 if found is None else file.append_new(found))
            self._ages[modality].append(example.ages_s.get(modality, 0.0))
        target = msgspec.json.encode(example.targets, order="sorted")
        self._target.append(self._targets.setdefault(target, len(self._targets)))
        self._ticks.append(tick_ns)


class _Folder:
    """One folder, open."""

    def __init__(self, folder: Path) -> None:
        self.ticks = read_rows(folder / "tick.npy")
        self.target = read_rows(folder / "target.npy")
        text = (folder / "targets.json").read_bytes()
        self.targets = msgspec.json.decode(text, type=list[Targets])
        names = [m for m in Encoders.__struct_fields__ if (folder / f"{m}.npy").is_file()]
        self.inputs = {m: read_rows(folder / f"{m}.npy") for m in names}
        self.rows = {m: read_rows(folder / f"{m}.row.npy") for m in names}
        self.ages = {m: read_rows(folder / f"{m}.age.npy") for m in names}

    def example(self, n: int) -> Example:
        """Inputs are views of the files."""
        rows = {modality: int(of[n]) for modality, of in self.rows.items()}
        return Example(
            inputs={m: self.inputs[m][row : row + 1] for m, row in rows.items() if row >= 0},
            ages_s={m: float(self.ages[m][n]) for m, row in rows.items() if row >= 0},
            targets=self.targets[self.target[n]],
        )


class Windows(Sequence[Example]):
    """The windows of several folders, one after the other; their inputs stay on disk."""

    def __init__(self, folders: Iterable[Path]) -> None:
        """Raises OSError, ValueError for what is no such folder."""
        self._folders = [_Folder(folder) for folder in folders]
        ends = np.cumsum([0] + [len(folder.ticks) for folder in self._folders])
        self._starts, self._n = ends[:-1], int(ends[-1])

    def __len__(self) -> int:
        return self._n

    @overload
    def __getitem__(self, index: int) -> Example: ...

    @overload
    def __getitem__(self, index: slice) -> list[Example]: ...

    def __getitem__(self, index: int | slice) -> Example | list[Example]:
        if isinstance(index, slice):
            return [self[n] for n in range(*index.indices(self._n))]
        n = index + self._n if index < 0 else index
        if not 0 <= n < self._n:
            raise IndexError(index)
        at = int(np.searchsorted(self._starts, n, side="right")) - 1
        return self._folders[at].example(n - int(self._starts[at]))

    def present(self, modality: str) -> int:
        """How many windows have an input of a modality."""
        found = (folder.rows.get(modality) for folder in self._folders)
        return sum(int((rows >= 0).sum()) for rows in found if rows is not None)

    def complete(self, n_modalities: int) -> int:
        """How many windows have so many modalities or more."""
        n = 0
        for folder in self._folders:
            there = np.stack([rows >= 0 for rows in folder.rows.values()])
            n += int((there.sum(axis=0) >= n_modalities).sum())
        return n

    def drop(self, name: str, is_bad: Callable[[tuple[str, ...]], bool]) -> int:
        """Forget what a label set says where it is bad; in how many windows it was."""
        n_bad = 0
        for folder in self._folders:
            bad = [
                n for n, said in enumerate(folder.targets) if name in said and is_bad(said[name])
            ]
            n_bad += int(np.isin(folder.target, bad).sum())
            for n in bad:
                folder.targets[n] = {k: v for k, v in folder.targets[n].items() if k != name}
        return n_bad

    def targets(self) -> list[tuple[Targets, int]]:
        """What the label sets say, and of how many windows."""
        return [
            (targets, int(n))
            for folder in self._folders
            for targets, n in zip(
                folder.targets,
                np.bincount(folder.target, minlength=len(folder.targets)),
                strict=True,
            )
        ]


def write_about(folder: Path, about: About) -> None:
    """The last file that is written."""
    (folder / "about.json").write_bytes(msgspec.json.encode(about))


def read_about(folder: Path) -> About | None:
    """None if the folder was not finished."""
    try:
        return msgspec.json.decode((folder / "about.json").read_bytes(), type=About)
    except (OSError, msgspec.MsgspecError):
        return None
