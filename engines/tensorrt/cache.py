"""Engines that were built, by all that decides them: never stale, never half, never built twice."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from engines.error import EngineError
from engines.tensorrt.folder import (
    TEMPORARY,
    locked,
    locked_if_free,
    open_folder,
    write_atomically,
)
from engines.tensorrt.sidecar import Key, Sidecar, decode, encode

Build: TypeAlias = Callable[[], bytes]
CAP_BYTES = 4 << 30

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """An engine in the cache; `wrong` says what is wrong with it, if anything is."""

    sidecar: Sidecar
    used_s: float
    wrong: str


class Cache:
    """A folder of engines: for each `DIGEST.plan`, `DIGEST.json` and `DIGEST.lock`.

    The plan is written before its sidecar, each at once and as a whole, so that a process that
    dies leaves an engine or none. Raises EngineError where the folder cannot be used.
    """

    def __init__(self, folder: str = "", cap_bytes: int = CAP_BYTES) -> None:
        self.folder, self._cap_bytes = open_folder(folder), cap_bytes

    def get(self, key: Key, source: str, build: Build) -> bytes:
        """The plan of a key, built now if there is none. Raises EngineError, and what `build` does.

        `source` names what it is built of. Others that want the same engine meanwhile wait for it.
        """
        waiting = f"{source}: another process builds its engine; waiting for it"
        try:
            with locked(self._path(key.digest, ".lock"), waiting):
                found = self.find(key)
                if found is None:
                    found = self._make(key, source, build)
        except OSError as error:
            raise EngineError(
                f"engine cache {self.folder}: the engine of {source} cannot be kept:"
                f" {error.strerror}; make room, or set fusion.engine_cache to another folder"
            ) from error
        self.prune(self._cap_bytes, keep=key.digest)
        return found

    def find(self, key: Key) -> bytes | None:
        """The plan of a key if it is there, whole, and that of this very key."""
        if not self._path(key.digest, ".json").exists():
            return None
        try:
            sidecar = self._read(key.digest)
            if sidecar.key != key:
                raise EngineError("it is another engine's")
            plan = self._checked_plan(key.digest, sidecar)
        except EngineError as error:
            log.warning("engine cache: %s is not used: %s", key.digest, error)
            return None
        with contextlib.suppress(OSError):  # another user's: it only looks older than it is
            os.utime(self._path(key.digest, ".json"))
        return plan

    def entries(self) -> list[Entry]:
        """Every engine, the most recently used first. It reads all of them."""
        found = []
        for path in self.folder.glob("*.json"):
            try:
                sidecar, used_s = self._read(path.stem), path.stat().st_mtime
            except (EngineError, OSError) as error:
                log.warning("engine cache: %s: %s", path.name, error)
                continue
            found.append(Entry(sidecar, used_s, self._wrong(path.stem, sidecar)))
        return sorted(found, key=lambda entry: -entry.used_s)

    def build_s(self, key: Key, source: str) -> float | None:
        """How long the newest engine of this source took on this GPU, if there was one."""
        newest: tuple[str, float | None] = ("", None)
        for path in self.folder.glob("*.json"):
            with contextlib.suppress(EngineError):
                sidecar = self._read(path.stem)
                theirs = (sidecar.source, sidecar.key.backend, sidecar.key.gpu)
                if theirs == (source, key.backend, key.gpu) and sidecar.built_at > newest[0]:
                    newest = (sidecar.built_at, sidecar.build_s)
        return newest[1]

    def prune(self, cap_bytes: int, keep: str = "") -> list[str]:
        """Remove remains, and the engines that were not used for longest, down to so many bytes.

        Those that another process holds, and `keep`, stay. Returns the digests.
        """
        removed, total = [], 0
        for digest in self._by_use():
            total += self._bytes(digest)
            whole = self._path(digest, ".json").exists()
            over = digest != keep and (total > cap_bytes or not whole)
            if over and self._remove(digest):
                removed.append(digest)
        return removed

    def _make(self, key: Key, source: str, build: Build) -> bytes:
        self._sweep(key.digest)
        started_s = time.monotonic()
        plan = build()
        sidecar = Sidecar(
            key=key,
            plan_sha256=hashlib.sha256(plan).hexdigest(),
            plan_bytes=len(plan),
            source=source,
            build_s=round(time.monotonic() - started_s, 3),
            built_at=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        )
        write_atomically(self._path(key.digest, ".plan"), plan)
        write_atomically(self._path(key.digest, ".json"), encode(sidecar))
        return plan

    def _sweep(self, digest: str) -> None:
        """Remove what is left of an engine, its lock excepted; the lock is held."""
        self._path(digest, ".json").unlink(missing_ok=True)
        for path in self.folder.glob(f"{digest}.*"):
            if path.suffix in (".plan", TEMPORARY):
                path.unlink(missing_ok=True)

    def _remove(self, digest: str) -> bool:
        with locked_if_free(self._path(digest, ".lock")) as held:
            if held:
                self._sweep(digest)
        return held

    def _by_use(self) -> list[str]:
        """Every digest that takes room, the most recently used first."""
        times: dict[str, float] = {}
        for path in self.folder.iterdir():
            digest = path.name.split(".", 1)[0]
            if digest and path.suffix in (".plan", ".json", TEMPORARY):
                times[digest] = max(times.get(digest, 0.0), _modified_s(path))
        return sorted(times, key=lambda digest: -times[digest])

    def _bytes(self, digest: str) -> int:
        return sum(_size_bytes(path) for path in self.folder.glob(f"{digest}.*"))

    def _read(self, digest: str) -> Sidecar:
        try:
            return decode(self._path(digest, ".json").read_bytes())
        except OSError as error:
            raise EngineError(f"its sidecar cannot be read: {error.strerror}") from error

    def _checked_plan(self, digest: str, sidecar: Sidecar) -> bytes:
        try:
            plan = self._path(digest, ".plan").read_bytes()
        except OSError as error:
            raise EngineError(f"its plan cannot be read: {error.strerror}") from error
        if hashlib.sha256(plan).hexdigest() != sidecar.plan_sha256:
            raise EngineError("its plan is damaged: another SHA-256 than its sidecar's")
        return plan

    def _wrong(self, digest: str, sidecar: Sidecar) -> str:
        if sidecar.key.digest != digest:
            return "it is another engine's"
        try:
            self._checked_plan(digest, sidecar)
        except EngineError as error:
            return str(error)
        return ""

    def _path(self, digest: str, suffix: str) -> Path:
        return self.folder / (digest + suffix)


def _modified_s(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # gone meanwhile
        return 0.0


def _size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
