"""The directory of a run: who may have it, and what is removed from it."""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.bus.publisher import Publisher
from pipeline.config import Config
from pipeline.error import ConfigError
from pipeline.run_directory import RunDirectory, claim, is_claimed, private_directory
from pipeline.stream import Text


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def config(run_dir: Path, *streams: str) -> Config:
    text = {stream: Text(source="simulator") for stream in streams or ("a",)}
    return Config(name="x", run_dir=str(run_dir), text=text)


@pytest.mark.usefixtures("open_umask")
def test_every_level_that_is_made_is_private(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c"
    assert private_directory(path)
    assert [mode(level) for level in (path, path.parent, path.parent.parent)] == [0o700] * 3
    assert not private_directory(path)


@pytest.mark.usefixtures("open_umask")
def test_a_directory_of_others_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(0o700)
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "file").touch(0o600)
    for shared in (0o770, 0o702, 0o1777):
        (tmp_path / f"{shared:o}").mkdir()
        (tmp_path / f"{shared:o}").chmod(shared)
    for path in [path for path in tmp_path.iterdir() if path.name != "real"]:
        with pytest.raises(ConfigError, match=rf"^{path}: [^\n]+$"):
            private_directory(path)
        with pytest.raises(ConfigError, match=rf"^{path}: [^\n]+$"):
            Publisher(f"ipc://{path}/s.ipc")
    assert list((tmp_path / "real").iterdir()) == []


def test_a_directory_that_belongs_to_another_user_is_refused(tmp_path: Path) -> None:
    path = Path("/")
    if os.getuid() == 0:
        path = tmp_path / "foreign"
        path.mkdir()
        os.chown(path, 12345, 12345)
    with pytest.raises(ConfigError, match="belongs to another user"):
        private_directory(path)


def test_a_planted_root_in_the_shared_temporary_folder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "theirs").mkdir(0o700)
    root = tmp_path / f"sensorium-{os.getuid()}"
    root.symlink_to("theirs")
    with pytest.raises(ConfigError, match=f"{root}: is a symbolic link"):
        RunDirectory(Config(name="x", text={"a": Text(source="simulator")}))


def test_a_claim_is_for_one_and_never_through_a_link(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    assert not is_claimed(path)
    lock = claim(path)
    assert mode(path) == 0o600
    assert is_claimed(path)
    with pytest.raises(BlockingIOError):
        claim(path)
    os.close(lock)
    assert not is_claimed(path)
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(OSError, match="symbolic"):
        claim(tmp_path / "link")


def test_a_lock_that_its_owner_removes_meanwhile_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, flock = tmp_path / "a.lock", fcntl.flock
    removed: list[int] = []

    def after_the_owner_left(lock: int, operation: int) -> None:
        if not removed:
            path.unlink()
            removed.append(lock)
        flock(lock, operation)

    monkeypatch.setattr(fcntl, "flock", after_the_owner_left)
    lock = claim(path)
    assert os.path.samestat(os.fstat(lock), path.stat())
    os.close(lock)


def test_only_what_the_run_makes_is_removed(tmp_path: Path) -> None:
    made = tmp_path / "made"
    directory = RunDirectory(config(made))
    mine = {"notes.json", "model.lock", "other.ipc", "text-b.mem"}
    for name in {*mine, "text-a.ipc", "text-a.lock", "predictions.ipc", "control.ipc"}:
        (made / name).touch()
    directory.close()
    assert {path.name for path in made.iterdir()} == mine


def test_a_directory_is_removed_only_by_whom_it_was_made(tmp_path: Path) -> None:
    RunDirectory(config(tmp_path / "made")).close()
    assert not (tmp_path / "made").exists()
    (tmp_path / "given").mkdir(0o700)
    RunDirectory(config(tmp_path / "given")).close()
    assert list((tmp_path / "given").iterdir()) == []


def test_a_directory_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.json").touch()
    with pytest.raises(ConfigError, match=r"holds notes\.json, which is of no run"):
        RunDirectory(config(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["notes.json"]


def test_two_runs_do_not_share_a_directory(tmp_path: Path) -> None:
    first = RunDirectory(config(tmp_path / "r"))
    with pytest.raises(ConfigError, match="another run is using it; set another name, as --set"):
        RunDirectory(config(tmp_path / "r"))
    first.close()


def test_what_a_killed_run_left_goes_with_the_next(tmp_path: Path) -> None:
    made = tmp_path / "r"
    killed = RunDirectory(config(made, "a", "old"))
    for name in ("text-old.ipc", "text-old.lock", "control.ipc"):
        (made / name).touch()
    os.close(killed._lock)  # as the kernel does
    RunDirectory(config(made)).close()
    assert list(made.iterdir()) == []  # it was there before this run, so it stays


def test_a_directory_that_vanished_is_no_error(tmp_path: Path) -> None:
    directory = RunDirectory(config(tmp_path / "r"))
    for path in (tmp_path / "r").iterdir():
        path.unlink()
    (tmp_path / "r").rmdir()
    directory.close()
