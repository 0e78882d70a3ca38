"""The directory of a run: private, locked while the run lasts, and removed without a trace.

Nothing but what the run itself makes is ever removed.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pipeline import child
from pipeline.config import Config, runtime_root
from pipeline.error import ConfigError

LOCK = "run.lock"
CONFIG = "run.json"
SUFFIXES = (".ipc", ".lock", ".mem")  # of an endpoint


class RunDirectory:
    """The directory of a configuration, taken by this process. Raises ConfigError."""

    def __init__(self, config: Config) -> None:
        self._path = config.directory
        self._is_ours = self._make() or self._path.parent == runtime_root()
        self._names = file_names(config)
        # Of publishers that no run starts: they may be there before it, and stay after it.
        external = [config.endpoint(s) for s, x in config.streams.items() if x.is_external]
        self._guests = _names_here(config, external)
        self._refuse_strangers()
        self._lock = self._take()
        self._names |= self._names_of_last_run()
        self.config_path = self._path / CONFIG
        child.write_config(config, self.config_path)

    def _make(self) -> bool:
        try:
            return private_directory(self._path)
        except ConfigError as error:
            raise ConfigError(f"run_dir {error}; set another one") from error

    def _refuse_strangers(self) -> None:
        found = set(os.listdir(self._path))
        if LOCK not in found and (strangers := found - self._names - self._guests):
            raise ConfigError(
                f"run_dir {self._path}: holds {min(strangers)}, which is of no run;"
                " set one that is empty or does not exist"
            )

    def _take(self) -> int:
        try:
            return claim(self._path / LOCK)
        except BlockingIOError as error:
            raise ConfigError(
                f"run_dir {self._path}: another run is using it;"
                " set another name, as --set name=NAME2"
            ) from error
        except OSError as error:
            raise ConfigError(
                f"run_dir {self._path}: cannot be written: {error.strerror}; set another one"
            ) from error

    def _names_of_last_run(self) -> set[str]:
        """What a run that was killed may have left, if it had other streams."""
        try:
            return file_names(child.read_config(self._path / CONFIG))
        except ConfigError:
            return set()

    def close(self) -> None:
        """Remove what the run has made, and the directory unless the user made it or uses it."""
        for name in self._names:
            (self._path / name).unlink(missing_ok=True)
        (self._path / LOCK).unlink(missing_ok=True)
        if self._is_ours:
            with suppress(OSError):  # not empty, or gone already
                self._path.rmdir()
        os.close(self._lock)


def file_names(config: Config) -> set[str]:
    """The names of all files that a run makes in its directory, but for its lock."""
    endpoints = [config.predictions_endpoint, config.control_endpoint, config.recorder_endpoint]
    endpoints += [config.home_endpoint, config.metrics_endpoint]
    endpoints += [config.endpoint(stream) for stream in config.sensors]
    for stream, line in config.local_streams.items():
        if line.remote is not None:
            endpoints.append(config.relay_endpoint(stream))
    return {CONFIG} | _names_here(config, endpoints)


def _names_here(config: Config, endpoints: Sequence[str]) -> set[str]:
    paths = [Path(e.removeprefix("ipc://")) for e in endpoints if e.startswith("ipc://")]
    here = [path for path in paths if path.parent == config.directory]
    return {path.with_suffix(suffix).name for path in here for suffix in SUFFIXES}


def private_directory(path: Path) -> bool:
    """Make a directory that only this user can write; whether it was missing.

    One that is there already must be such a directory; so must the folder of all runs, which may
    lie where others can make folders of its name. Raises ConfigError.
    """
    root = runtime_root()
    try:
        made = _make(path)
        _check_private(path)
        if root in path.parents:
            _check_private(root)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error
    return made


def _make(path: Path) -> bool:
    """Make each missing level private; Path.mkdir would make only the last one so."""
    missing = [level for level in (path, *path.parents) if not os.path.lexists(level)]
    for level in reversed(missing):
        with suppress(FileExistsError):  # another process was faster
            level.mkdir(mode=0o700)
    return bool(missing)


def _check_private(path: Path) -> None:
    found = os.lstat(path)
    if stat.S_ISLNK(found.st_mode):
        raise ConfigError(f"{path}: is a symbolic link")
    if not stat.S_ISDIR(found.st_mode):
        raise ConfigError(f"{path}: cannot be written: it is no directory")
    if found.st_uid != os.getuid():
        raise ConfigError(f"{path}: cannot be written safely: it belongs to another user")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigError(f"{path}: other users can write there")


def claim(path: Path) -> int:
    """Take a lock file; returns its descriptor. The kernel frees it with its process.

    Raises BlockingIOError where another process has it, OSError where it cannot be opened.
    """
    while True:
        lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(lock), os.stat(path)):
                    return lock
        except OSError:
            os.close(lock)
            raise
        os.close(lock)  # its owner has just removed it: this lock is of no use


def is_claimed(path: Path) -> bool:
    """Whether a process holds the lock file."""
    try:
        lock = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False
