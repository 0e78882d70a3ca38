"""Windows on disk, made once: a folder a task, under the user's cache.

They may be deleted at any time; the oldest go by themselves beyond KEPT_BYTES.
"""

from __future__ import annotations

import fcntl
import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline import boot
from pipeline.learning.cutter import JOB
from pipeline.learning.error import LearningError
from pipeline.progress import progress

KEPT_BYTES = 20 * 10**9
FEW = 400  # windows that are cut sooner than another process has started
POLL_S = 0.1
TICK_BYTES = 8
ERRORS = "errors.txt"
LOCK = ".lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is cut into one folder: each of `jobs` by the function `cut` of `module`."""

    key: str
    module: str
    jobs: tuple[bytes, ...]
    expected: int  # windows, about


def cache_root() -> Path:
    """Where windows are kept."""
    own = os.environ.get("XDG_CACHE_HOME")
    return (Path(own) if own else Path.home() / ".cache") / "sensorium" / "windows"


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0))


def fetch(tasks: Sequence[Task]) -> list[list[Path]]:
    """The folders of each task, cut now if they are not there. Raises LearningError."""
    root = cache_root()
    try:
        root.mkdir(parents=True, exist_ok=True)
        with (root / LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # of processes that train together one cuts
            missing = {task.key: task for task in tasks if not (root / task.key).is_dir()}
            if missing:
                _make(root, list(missing.values()))
                _forget_oldest(root, {task.key for task in tasks})
    except OSError as error:
        raise LearningError(f"{root}: cannot be written: {error.strerror}") from error
    for task in tasks:
        os.utime(root / task.key)
    return [[root / task.key / str(n) for n in range(len(task.jobs))] for task in tasks]


def _make(root: Path, tasks: Sequence[Task]) -> None:
    with _drafts(root, tasks) as drafts:
        waiting: list[tuple[str, Path]] = []
        for task, made in zip(tasks, drafts, strict=True):
            for n, job in enumerate(task.jobs):
                (made / str(n)).mkdir(parents=True)
                (made / str(n) / JOB).write_bytes(job)
                waiting.append((task.module, made / str(n)))
        expected = sum(task.expected for task in tasks)
        with progress("cutting windows", expected) as advance:
            if expected < FEW:
                for module, folder in waiting:
                    importlib.import_module(module).cut(folder)
            else:
                _in_processes(waiting, advance)
        for task, made in zip(tasks, drafts, strict=True):
            made.rename(root / task.key)


@contextmanager
def _drafts(root: Path, tasks: Sequence[Task]) -> Iterator[list[Path]]:
    """A folder a task that is gone at the end, unless it was renamed."""
    made = [root / f".{task.key}.{os.getpid()}" for task in tasks]
    try:
        yield made
    finally:
        for folder in made:
            shutil.rmtree(folder, ignore_errors=True)


def _in_processes(waiting: Sequence[tuple[str, Path]], advance: Callable[[float], None]) -> None:
    """Each folder in a process, as many at once as there are processors."""
    folders = [folder for _, folder in waiting]
    queue, running = list(reversed(waiting)), dict[Path, subprocess.Popen[bytes]]()
    try:
        while queue or running:
            while queue and len(running) < processors():
                module, folder = queue.pop()
                running[folder] = _start(module, folder)
            folder, process = next(iter(running.items()))
            try:
                process.wait(POLL_S)
            except subprocess.TimeoutExpired:
                advance(sum(map(_n_windows, folders)))
            for folder in [f for f, process in running.items() if process.poll() is not None]:
                if running.pop(folder).returncode:
                    raise LearningError(_last_line(folder / ERRORS))
    finally:
        for process in running.values():
            process.terminate()
            process.wait()


def _start(module: str, folder: Path) -> subprocess.Popen[bytes]:
    with (folder / ERRORS).open("wb") as errors:
        return subprocess.Popen(
            boot.command(module, [str(folder)]),
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr.fileno() if sys.stderr.isatty() else subprocess.DEVNULL,
            stderr=errors,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )


def _n_windows(folder: Path) -> int:
    """How many are written so far, as far as the file system knows."""
    try:
        return (folder / "tick.npy").stat().st_size // TICK_BYTES
    except OSError:
        return 0


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "windows could not be cut: the process was ended"


def _forget_oldest(root: Path, wanted: set[str]) -> None:
    """Keep what was used last, as far as it fits."""
    kept = 0
    folders = [path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")]
    for folder in sorted(folders, key=lambda path: path.stat().st_mtime, reverse=True):
        kept += sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        if kept > KEPT_BYTES and folder.name not in wanted:
            shutil.rmtree(folder, ignore_errors=True)
