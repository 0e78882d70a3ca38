"""The cache gives the right engine or a clear error, whatever happens to it."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engines.error import EngineError
from engines.tensorrt.cache import Cache
from engines.tensorrt.sidecar import Key, decode
from tests.engines.tensorrt.keys import key


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(str(tmp_path / "engines"))


def builds(content: bytes) -> Callable[[], bytes]:
    return lambda: content


def no_build() -> bytes:
    raise AssertionError("it is in the cache")


def files(cache: Cache, suffix: str) -> list[Path]:
    return sorted(cache.folder.glob(f"*{suffix}"))


def test_an_engine_is_built_once_and_its_sidecar_says_all_that_decides_it(cache: Cache) -> None:
    assert cache.get(key(), "image.onnx", builds(b"plan")) == b"plan"
    assert cache.get(key(), "image.onnx", no_build) == b"plan"
    (path,) = files(cache, ".json")
    sidecar = decode(path.read_bytes())
    assert sidecar.key == key()
    assert (sidecar.source, sidecar.plan_bytes) == ("image.onnx", 4)
    assert [entry.wrong for entry in cache.entries()] == [""]
    assert cache.build_s(key("other"), "image.onnx") == sidecar.build_s


@pytest.mark.parametrize(
    "change",
    [
        {"gpu": "Orin, 8 multiprocessors"},
        {"compute_capability": "sm_110"},
        {"driver": "580.0"},
        {"version": "10.16.1.11"},
        {"backend": "tensorrt-rtx"},
        {"machine": "x86_64"},
        {"precision": "fp32"},
        {"profile": "batch 8"},
        {"flags": ("TF32",)},
        {"graph_sha256": "a changed weight"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_differs_in_anything_is_another_engine(cache: Cache, change: dict[str, Any]) -> None:
    cache.get(key(), "image.onnx", builds(b"old"))
    other = Key(**{name: getattr(key(), name) for name in Key.__struct_fields__} | change)
    assert cache.find(other) is None
    assert cache.get(other, "image.onnx", builds(b"new")) == b"new"
    assert cache.find(key()) == b"old"


@pytest.mark.parametrize("change", [{"gpu": "Thor"}, {"version": "10.13.3.9"}])
def test_an_engine_of_another_gpu_or_version_under_this_name_is_not_used(
    cache: Cache, change: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    cache.get(key(**change), "image.onnx", builds(b"foreign"))
    for suffix in (".plan", ".json"):
        shutil.copy(files(cache, suffix)[0], cache.folder / (key().digest + suffix))
    with caplog.at_level(logging.WARNING):
        assert cache.get(key(), "image.onnx", builds(b"own")) == b"own"
    assert "is not used: it is another engine's" in caplog.text
    assert cache.find(key()) == b"own"


def damage_plan(folder: Path, digest: str) -> None:
    path = folder / f"{digest}.plan"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut_plan(folder: Path, digest: str) -> None:
    os.truncate(folder / f"{digest}.plan", 3)


def remove_plan(folder: Path, digest: str) -> None:
    (folder / f"{digest}.plan").unlink()


def empty_sidecar(folder: Path, digest: str) -> None:
    (folder / f"{digest}.json").write_bytes(b"")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (damage_plan, "its plan is damaged"),
        (cut_plan, "its plan is damaged"),
        (remove_plan, "its plan cannot be read"),
        (empty_sidecar, "no sidecar of an engine"),
    ],
)
def test_a_damaged_engine_is_told_of_and_built_again(
    cache: Cache,
    harm: Callable[[Path, str], None],
    said: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    cache.get(key(), "image.onnx", builds(b"content"))
    harm(cache.folder, key().digest)
    with caplog.at_level(logging.WARNING):
        assert cache.get(key(), "image.onnx", builds(b"content again")) == b"content again"
    assert said in caplog.text
    assert cache.get(key(), "image.onnx", no_build) == b"content again"


@pytest.mark.parametrize("place", ["/proc/sensorium", "FILE/engines"])
def test_a_folder_that_cannot_be_written_is_an_error_at_once(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineError, match=r"cannot be written: .* set fusion\.engine_cache"):
        Cache(place.replace("FILE", str(tmp_path / "file")))


def test_a_folder_that_everyone_may_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(EngineError, match="everyone may write to it; chmod o-w"):
        Cache(str(tmp_path))


def test_over_its_cap_it_drops_what_was_not_used_for_longest(tmp_path: Path) -> None:
    cache = Cache(str(tmp_path), cap_bytes=25_000)
    for number, graph in enumerate(("a", "b")):
        cache.get(key(graph), graph, builds(bytes(10_000)))
        os.utime(cache.folder / f"{key(graph).digest}.json", (number, number))
        os.utime(cache.folder / f"{key(graph).digest}.plan", (number, number))
    cache.get(key("a"), "a", no_build)
    cache.get(key("c"), "c", builds(bytes(10_000)))
    assert {entry.sidecar.source for entry in cache.entries()} == {"a", "c"}


def test_remains_of_a_killed_builder_are_pruned(cache: Cache) -> None:
    cache.get(key("whole"), "whole", builds(b"plan"))
    (cache.folder / f"{key('half').digest}.plan").write_bytes(b"no sidecar")
    (cache.folder / f"{key('half').digest}.plan.abc.tmp").write_bytes(b"half")
    assert cache.prune(1 << 20) == [key("half").digest]
    assert [entry.sidecar.source for entry in cache.entries()] == ["whole"]
