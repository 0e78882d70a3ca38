"""The runtime path over the fake CUDA driver. Run by test_fake_driver.py, in a process of its own.

pycuda, cuda-bindings and the engine are the real ones; TensorRT's classes are strict stand-ins.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from engines.error import EngineError
from engines.tensorrt.driver import first_gpu, probe
from engines.tensorrt.engine import TensorRtEngine
from tests.engines.tensorrt.fake_driver import Driver, driver, opened, picture, wanted

__all__ = ["driver", "opened"]  # fixtures

MODES = [{}, {"DEFER": "1"}, {"INTEGRATED": "1"}, {"DEFER": "1", "INTEGRATED": "1"}]
MODE_NAMES = ["at-once", "deferred", "integrated", "integrated-deferred"]
CAPTURED = ["capture upload", "capture execute", "capture download"]


def test_the_driver_is_asked_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_CUDA_DEVICES", "2")
    monkeypatch.setenv("FAKE_CUDA_VERSION", "12060")
    first, second = probe()
    assert (first.name, second.name, second.index) == ("Fake GPU 0", "Fake GPU 1", 1)
    assert (first.sm, first.cuda_version, first.memory_bytes) == ("sm_87", "12.6", 2**33)
    assert not first.is_integrated
    monkeypatch.setenv("FAKE_CUDA_INTEGRATED", "1")
    assert first_gpu().is_integrated


def test_a_driver_without_a_gpu_and_one_that_fails_are_told_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FAKE_CUDA_DEVICES", "0")
    assert probe() == []
    with pytest.raises(EngineError, match="no CUDA GPU: the driver finds no device"):
        first_gpu()
    monkeypatch.setenv("FAKE_CUDA_FAIL", "cuInit:803")
    with pytest.raises(EngineError, match=r"cuInit gives CUDA_ERROR_SYSTEM_DRIVER_MISMATCH \(803"):
        probe()


@pytest.mark.parametrize("mode", MODES, ids=MODE_NAMES)
def test_every_run_computes_what_onnx_runtime_does(
    mode: dict[str, str],
    opened: Callable[[], TensorRtEngine],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in mode.items():
        monkeypatch.setenv(f"FAKE_CUDA_{name}", value)
    engine = opened()
    for seed in range(6):
        assert np.array_equal(engine.run(picture(seed))["tokens"], wanted(picture(seed)))


def test_warm_up_enqueues_once_then_captures_and_runs_only_launch(
    opened: Callable[[], TensorRtEngine], driver: Driver
) -> None:
    engine = opened()
    assert engine.why_no_graph == ""
    lines = driver.lines
    begins = lines.index("capture begins, mode 1")
    assert lines[begins - 4 : begins] == ["upload", "execute", "download", "synchronize"]
    assert lines[begins + 1 : begins + 5] == [*CAPTURED, "capture ends"]
    engine.run(picture(1))
    replayed = ["replay upload", "replay execute", "replay download"]
    assert driver.lines == ["launch", *replayed, "synchronize"]


def test_two_blocks_each_way_and_nothing_is_allocated_by_a_run(
    opened: Callable[[], TensorRtEngine], driver: Driver
) -> None:
    before = driver.live
    engine = opened()
    assert driver.live == before + 4
    lines = driver.lines
    assert sum(line.startswith("alloc pinned") for line in lines) == 2
    assert "stream flags 1" in lines
    for seed in range(3):
        engine.run(picture(seed))
    assert not [line for line in driver.lines if "alloc" in line or line == "unpinned"]
    assert driver.live == before + 4


def test_a_gpu_that_shares_memory_needs_no_copy(
    opened: Callable[[], TensorRtEngine], driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_CUDA_INTEGRATED", "1")
    engine = opened()
    lines = driver.lines
    assert not [line for line in lines if line.startswith("alloc device") or "load" in line]
    assert "flags 2" in next(line for line in lines if line.startswith("alloc pinned"))
    engine.run(picture(1))
    assert driver.lines == ["launch", "replay execute", "synchronize"]


def test_closing_waits_then_gives_back_in_the_opposite_order(
    opened: Callable[[], TensorRtEngine], driver: Driver
) -> None:
    engine = opened()
    engine.run(picture(1))
    assert driver.lines
    engine.close()
    engine.close()
    freed = ["free device", "free pinned", "free device", "free pinned"]
    destroyed = ["stream destroyed with 0 waiting"]
    assert driver.lines == ["synchronize", "executable graph destroyed", *freed, *destroyed]


def test_another_address_is_captured_again(
    opened: Callable[[], TensorRtEngine], driver: Driver
) -> None:
    engine, other = opened(), opened()
    engine.run(picture(1))
    assert driver.lines
    context: Any = engine._context
    assert context.set_tensor_address("tokens", other._down.addresses["tokens"])
    engine.run(picture(2))
    lines = driver.lines
    assert lines[0] == "executable graph destroyed"
    assert lines[1:5] == ["upload", "execute", "download", "synchronize"]
    engine.run(picture(2))
    assert [line for line in driver.lines if line.startswith("capture")][1:4] == CAPTURED


def test_it_is_made_run_and_closed_in_threads_that_end(
    opened: Callable[[], TensorRtEngine], driver: Driver
) -> None:
    before = driver.live

    def in_a_thread(call: Callable[[], Any]) -> Any:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(call).result()

    engine = in_a_thread(opened)
    assert np.array_equal(in_a_thread(lambda: engine.run(picture(1)))["tokens"], wanted(picture(1)))
    assert np.array_equal(engine.run(picture(2))["tokens"], wanted(picture(2)))
    in_a_thread(engine.close)
    assert driver.live == before


def test_two_engines_run_at_once(opened: Callable[[], TensorRtEngine]) -> None:
    engines = [opened(), opened()]
    with ThreadPoolExecutor(2) as pool:
        for seed in range(5):
            feeds = [picture(2 * seed), picture(2 * seed + 1)]
            found = pool.map(
                lambda pair: pair[0].run(pair[1])["tokens"], zip(engines, feeds, strict=True)
            )
            assert all(map(np.array_equal, found, map(wanted, feeds)))
