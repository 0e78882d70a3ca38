"""The folder of the engine cache: where it is, whether it can be used, how a file gets into it."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from engines.error import EngineError

TEMPORARY = ".tmp"

log = logging.getLogger(__name__)


def default_folder() -> Path:
    """Where engines are kept: the cache of a systemd service, or that of this user."""
    if given := os.environ.get("CACHE_DIRECTORY"):
        return Path(given.split(":", 1)[0]) / "engines"
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "sensorium" / "engines"


def open_folder(chosen: str = "") -> Path:
    """The folder, made if need be and proven writable. Raises EngineError.

    Else each start would build all engines again.
    """
    folder = Path(chosen) if chosen else default_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".probe-"):
            pass
        mode = folder.stat().st_mode
    except OSError as error:
        raise EngineError(
            f"engine cache {folder}: cannot be written: {error.strerror};"
            " set fusion.engine_cache to a folder of yours"
        ) from error
    if mode & stat.S_IWOTH:  # an engine is code that is run
        raise EngineError(f"engine cache {folder}: everyone may write to it; chmod o-w {folder}")
    return folder


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file that is there as a whole, on the disk, or not at all. Raises OSError."""
    with tempfile.NamedTemporaryFile(
        dir=path.parent, prefix=f"{path.name}.", suffix=TEMPORARY, delete=False
    ) as file:
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            os.replace(file.name, path)
        except OSError:
            Path(file.name).unlink(missing_ok=True)
            raise
    _sync(path.parent)


def _sync(folder: Path) -> None:
    """Else a rename may be lost with the power."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(path: Path, waiting: str) -> Iterator[None]:
    """Hold a lock between processes; it goes with the process. `waiting` is said if others do.

    The file stays: whoever waits for it would else hold the lock of a file that is gone.
    """
    with open(path, "ab") as file:
        if not _try(file.fileno()):
            log.info("%s", waiting)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def locked_if_free(path: Path) -> Iterator[bool]:
    """Hold a lock that nobody else holds; whether it is held."""
    with open(path, "ab") as file:
        yield _try(file.fileno())


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
