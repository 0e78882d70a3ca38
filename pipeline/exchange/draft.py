"""Files and folders that appear only when they are whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.exchange.incoming import ExchangeError


@contextmanager
def draft(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """A temporary name beside `path`, which gets its own name at the end; gone after an error.

    Refuses what exists already, but for an empty folder, and a file with `replace`.
    """
    if not replace and path.exists() and not _is_empty_folder(path):
        raise ExchangeError(f"{path} exists already: choose another name")
    if not path.parent.is_dir():
        raise ExchangeError(f"{path}: there is no folder {path.parent}")
    made = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield made
        os.replace(made, path)
    except OSError as error:
        raise ExchangeError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        _remove(made)


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and next(path.iterdir(), None) is None


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
