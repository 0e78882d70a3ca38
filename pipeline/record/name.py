"""What the files of a recording are called: FILE, then FILE-stem.0001.mcap and so on.

`{time}` in the name stands for the time at which the run was started, in UTC, so that a service
that is started again begins another recording. A disk budget holds for all files of the name.
"""

from __future__ import annotations

import os
import re
from datetime import datetime, timezone
from pathlib import Path

from pipeline.error import ConfigError

TIME = "{time}"
STAMP = r"\d{8}T\d{6}Z"
_NUMBER_PATTERN = r"(?:\.(\d{4,}))?"


def stamp(wall_ns: int) -> str:
    """A wall-clock time as it stands in file names, as 20260721T193000Z."""
    return f"{datetime.fromtimestamp(wall_ns // 1_000_000_000, timezone.utc):%Y%m%dT%H%M%SZ}"


def check_folder(folder: str | Path, key: str) -> None:
    """Raise ConfigError unless files can be made in a folder."""
    path = Path(folder)
    if not path.is_dir():
        raise ConfigError(f"{key}: {path} is no folder; make it first")
    if not os.access(path, os.W_OK | os.X_OK):
        raise ConfigError(f"{key}: {path} cannot be written")


class SegmentNames:
    """The names of one recording that a run began at `wall_ns`."""

    def __init__(self, file: str, wall_ns: int) -> None:
        self.first = Path(file.replace(TIME, stamp(wall_ns)))
        path = Path(file)
        self._folder = path.parent
        stem = re.escape(path.stem).replace(re.escape(TIME), f"(?P<time>{STAMP})", 1)
        self._pattern = re.compile(stem + _NUMBER_PATTERN + re.escape(path.suffix))
        own = re.escape(self.first.stem) + _NUMBER_PATTERN + re.escape(path.suffix)
        self._own_pattern = re.compile(own)

    def check_free(self, key: str) -> None:
        """Raise ConfigError where files cannot be made, or are there already."""
        check_folder(self._folder, key)
        if (found := self._numbers()) or self.first.exists():
            there = self._path(min(found, default=0))
            raise ConfigError(f"{key}: {there} exists; give another name, or put {TIME} into it")

    def next_path(self) -> Path:
        """The first name after all that were ever used."""
        found = self._numbers()
        return self._path(max(found) + 1 if found else 0)

    def own(self) -> list[Path]:
        """The files of this recording, oldest first."""
        return [self._path(number) for number in sorted(self._numbers())]

    def all(self) -> list[Path]:
        """The files of this and of earlier recordings of this name, oldest first."""
        matches = [self._pattern.fullmatch(name) for name in self._listed()]
        found = [(self._key(match), match.string) for match in matches if match]
        return [self._folder / name for _, name in sorted(found)]

    def _listed(self) -> list[str]:
        try:
            return os.listdir(self._folder)
        except OSError:
            return []

    def _key(self, match: re.Match[str]) -> tuple[str, int]:
        found = match.groupdict()
        return found.get("time") or "", int(match.group(match.re.groups) or 0)

    def _numbers(self) -> list[int]:
        matches = [self._own_pattern.fullmatch(name) for name in self._listed()]
        return [int(match.group(1) or 0) for match in matches if match]

    def _path(self, number: int) -> Path:
        if number == 0:
            return self.first
        return self.first.with_name(f"{self.first.stem}.{number:04d}{self.first.suffix}")
