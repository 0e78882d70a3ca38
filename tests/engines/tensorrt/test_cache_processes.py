"""The cache between processes, under kills and on a full disk: the right engine, or an error."""

from __future__ import annotations

import hashlib
import random
import resource
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engines.tensorrt.cache import Cache
from tests.engines.tensorrt.cache_child import plan
from tests.engines.tensorrt.keys import key

LIMIT_S = 20
CHILD = [sys.executable, "-m", "tests.engines.tensorrt.cache_child"]
BIG_BYTES = 8 << 20
IN_A_SMALL_DISK = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]


def files(cache: Cache, suffix: str) -> list[Path]:
    return sorted(cache.folder.glob(f"*{suffix}"))


def start(folder: Path, how: str, plan_bytes: int = 1000, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*CHILD, str(folder), "image.onnx", str(plan_bytes), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def until_building(child: subprocess.Popen[str]) -> None:
    assert child.stdout is not None
    assert child.stdout.readline() == "building\n"


def until_waiting(child: subprocess.Popen[str]) -> None:
    assert child.stderr is not None
    assert "another process builds its engine" in child.stderr.readline()


def answer(child: subprocess.Popen[str]) -> str:
    return child.communicate("go\n", timeout=LIMIT_S)[0].splitlines()[-1]


def hash_of(plan_bytes: int) -> str:
    return hashlib.sha256(plan("image.onnx", plan_bytes)).hexdigest()


def test_two_processes_build_an_engine_once(tmp_path: Path) -> None:
    with start(tmp_path, "told") as first:
        until_building(first)
        with start(tmp_path, "told") as second:
            until_waiting(second)
            assert answer(first) == answer(second) == hash_of(1000)
    assert len((tmp_path / "builds").read_text().splitlines()) == 1


def test_who_waits_for_a_builder_that_is_killed_builds_by_itself(tmp_path: Path) -> None:
    with start(tmp_path, "told") as first:
        until_building(first)
        with start(tmp_path, "now") as second:
            until_waiting(second)
            first.kill()
            assert answer(second) == hash_of(1000)
    assert len((tmp_path / "builds").read_text().splitlines()) == 2
    assert [entry.wrong for entry in Cache(str(tmp_path / "engines")).entries()] == [""]


@pytest.mark.slow
def test_a_kill_at_any_time_leaves_the_engine_or_none(tmp_path: Path) -> None:
    rng, found = random.Random(1), set[bool]()
    wanted = plan("image.onnx", BIG_BYTES)
    for _ in range(20):
        with start(tmp_path, "told", BIG_BYTES) as child:
            until_building(child)
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
            select.select([], [], [], rng.uniform(0, 0.03))  # somewhere while it is written
            child.send_signal(signal.SIGKILL)
        cache = Cache(str(tmp_path / "engines"))
        plan_now = cache.find(key())
        assert plan_now in (None, wanted)
        found.add(plan_now is None)
        cache.prune(0)
        assert not [*files(cache, ".plan"), *files(cache, ".json"), *files(cache, ".tmp")]
    assert True in found


def has_small_disks() -> bool:
    if not shutil.which("unshare"):
        return False
    trial = [*IN_A_SMALL_DISK, "mount -t tmpfs -o size=1m tmpfs /mnt"]
    return subprocess.run(trial, capture_output=True, check=False).returncode == 0


def test_a_full_disk_is_a_clear_error(tmp_path: Path) -> None:
    """A disk of 1 MB where the system lets us make one, else a limit on the size of a file."""
    command = [*CHILD, str(tmp_path), "image.onnx", str(4 << 20), "now"]
    options: dict[str, Any] = {}
    if has_small_disks():
        mount = f"mount -t tmpfs -o size=1m tmpfs {tmp_path} && exec "
        command, said = [*IN_A_SMALL_DISK, mount + " ".join(command)], "No space left on device"
    else:
        limit = (1 << 20, 1 << 20)
        options["preexec_fn"] = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        said = "File too large"
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith(f"refused: engine cache {tmp_path}/engines: the engine of image")
    assert said in done.stdout
    assert "make room, or set fusion.engine_cache" in done.stdout


def test_what_another_process_builds_is_not_pruned(tmp_path: Path) -> None:
    cache = Cache(str(tmp_path / "engines"))
    with start(tmp_path, "told") as child:
        until_building(child)
        remains = cache.folder / f"{key().digest}.plan.x.tmp"
        remains.write_bytes(b"half")
        assert cache.prune(0) == []
        assert remains.exists()
        assert answer(child) == hash_of(1000)
    assert cache.prune(0) == [key().digest]
