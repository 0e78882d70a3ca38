"""The fake CUDA driver as fixtures; the files that use them run in a process of their own."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from engines.bundle import load_bundle

if TYPE_CHECKING:
    from engines.tensorrt.engine import TensorRtEngine


class Driver:
    """What the fake driver did and holds."""

    def __init__(self, log: Path) -> None:
        self._log, self._library = log, ctypes.CDLL("libcuda.so.1")

    @property
    def lines(self) -> list[str]:
        """What it did since the last call."""
        text = self._log.read_text(encoding="ascii") if self._log.exists() else ""
        self._log.write_text("")
        return text.splitlines()

    @property
    def live(self) -> int:
        """How many blocks of memory are allocated."""
        found: int = self._library.fake_cuda_live()
        return found

    @property
    def depth(self) -> int:
        """How many contexts this thread has left pushed."""
        found: int = self._library.fake_cuda_depth()
        return found


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Driver]:
    monkeypatch.setenv("FAKE_CUDA_LOG", str(tmp_path / "driver.log"))
    made = Driver(tmp_path / "driver.log")
    before = made.live
    yield made
    assert made.live == before
    assert made.depth == 0


@pytest.fixture
def opened(driver: Driver) -> Iterator[Callable[[], TensorRtEngine]]:
    from tests.engines.tensorrt.strict_binding import VERSIONS, open_strict

    made: list[TensorRtEngine] = []

    def open_image() -> TensorRtEngine:
        made.append(open_strict(VERSIONS[0], load_bundle("home").path("image")))
        return made[-1]

    yield open_image
    for engine in made:
        engine.close()


def picture(seed: int) -> dict[str, Any]:
    return {"image": np.random.default_rng(seed).integers(0, 256, (1, 96, 96, 3), np.uint8)}


def wanted(feeds: dict[str, Any]) -> Any:
    from engines.backend import open_engine

    reference = open_engine(load_bundle("home").path("image"), "onnxruntime")
    return reference.run(feeds)["tokens"]
