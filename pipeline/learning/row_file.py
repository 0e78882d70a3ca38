"""A .npy file that grows row by row, so that windows need no memory while they are cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


class RowFile:
    """Rows of one shape and dtype. The file is whole once it is closed."""

    def __init__(self, path: Path, dtype: npt.DTypeLike, shape: tuple[int, ...] = ()) -> None:
        self._dtype, self._shape = np.dtype(dtype), shape
        self._file = path.open("wb")
        self._last = b""
        self.n_rows = 0
        self._head()

    def append(self, row: npt.ArrayLike) -> int:
        """Write a row; its number."""
        self._file.write(np.ascontiguousarray(row, self._dtype).reshape(self._shape).tobytes())
        self.n_rows += 1
        return self.n_rows - 1

    def append_new(self, row: npt.NDArray[Any]) -> int:
        """Write a row unless it is the last one again, as of a stream that says little."""
        found = np.ascontiguousarray(row, self._dtype).reshape(self._shape).tobytes()
        if not self.n_rows or found != self._last:
            self._file.write(found)
            self._last = found
            self.n_rows += 1
        return self.n_rows - 1

    def close(self) -> None:
        """Say in the head how many rows there are."""
        self._file.seek(0)
        self._head()
        self._file.close()

    def _head(self) -> None:
        # NumPy leaves room for the number of rows: the head is as long with every number.
        about = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self.n_rows, *self._shape),
        }
        np.lib.format.write_array_header_1_0(self._file, about)


def read_rows(path: Path) -> npt.NDArray[Any]:
    """The rows of a closed file, read as they are used. Raises OSError, ValueError."""
    mapped = np.load(path, mmap_mode="c" if _has_rows(path) else None, allow_pickle=False)
    return np.asarray(mapped)


def _has_rows(path: Path) -> bool:
    """Nothing cannot be mapped."""
    with path.open("rb") as file:
        np.lib.format.read_magic(file)
        shape, _, _ = np.lib.format.read_array_header_1_0(file)
        return bool(np.prod(shape))
