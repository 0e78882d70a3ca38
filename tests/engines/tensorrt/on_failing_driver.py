"""What fails in the runtime path, over the fake CUDA driver. Run by test_fake_driver.py."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.error import EngineError
from engines.tensorrt.engine import TensorRtEngine
from tests.engines.tensorrt.fake_driver import Driver, driver, opened, picture, wanted
from tests.engines.tensorrt.strict_binding import VERSIONS, open_strict

__all__ = ["driver", "opened"]  # fixtures


@pytest.mark.parametrize("failing", ["cuStreamBeginCapture:900", "cuStreamEndCapture:901"])
def test_a_capture_that_fails_is_said_and_the_work_is_enqueued_plainly(
    failing: str,
    opened: Callable[[], TensorRtEngine],
    driver: Driver,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("FAKE_CUDA_FAIL", failing)
    engine = opened()
    assert failing.split(":")[0] in engine.why_no_graph
    assert "no CUDA graph, plain enqueue" in caplog.text
    assert driver.lines
    assert np.array_equal(engine.run(picture(1))["tokens"], wanted(picture(1)))
    assert driver.lines == ["upload", "execute", "download", "synchronize"]


def test_what_fails_inside_a_capture_ends_it(
    opened: Callable[[], TensorRtEngine], monkeypatch: pytest.MonkeyPatch, driver: Driver
) -> None:
    monkeypatch.setenv("FAKE_CUDA_FAIL", "cuLaunchHostFunc:700:2")
    engine = opened()  # the second is that of the capture
    assert "cannot run" in engine.why_no_graph
    assert "capture ends" in driver.lines
    assert np.array_equal(engine.run(picture(1))["tokens"], wanted(picture(1)))


def test_without_cuda_bindings_the_work_is_enqueued_plainly(
    opened: Callable[[], TensorRtEngine], driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cuda.bindings.driver", None)
    engine = opened()
    assert engine.why_no_graph == "cuda-bindings is not installed"
    assert driver.lines
    assert np.array_equal(engine.run(picture(1))["tokens"], wanted(picture(1)))
    assert driver.lines == ["upload", "execute", "download", "synchronize"]


@pytest.mark.parametrize(
    "failing",
    [
        "cuStreamCreate:2",
        "cuMemHostAlloc:2",
        "cuMemHostAlloc:1:2",
        "cuMemAlloc:2",
        "cuMemAlloc:1:2",
        "cuMemcpyHtoDAsync:1",
        "cuMemcpyDtoHAsync:1",
        "cuLaunchHostFunc:700",
        "cuStreamSynchronize:700",
        "cuCtxPushCurrent:201",
    ],
)
def test_a_call_that_fails_at_the_start_is_an_error_and_leaves_nothing(
    failing: str, opened: Callable[[], TensorRtEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_CUDA_FAIL", failing)
    # The driver fixture sees that no memory and no context is left.
    with pytest.raises(EngineError, match=r"image\.onnx: .*(cu[A-Z]|TensorRT cannot run)") as said:
        opened()
    assert "\n" not in str(said.value)
    monkeypatch.delenv("FAKE_CUDA_FAIL")


@pytest.mark.parametrize("failing", ["cuGraphLaunch:700", "cuStreamSynchronize:700"])
def test_a_call_that_fails_in_a_run_is_an_error(
    failing: str, opened: Callable[[], TensorRtEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = opened()
    monkeypatch.setenv("FAKE_CUDA_FAIL", failing)
    with pytest.raises(EngineError, match=r"image\.onnx: .*cu(GraphLaunch|StreamSynchronize)"):
        engine.run(picture(1))
    monkeypatch.delenv("FAKE_CUDA_FAIL")
    assert np.array_equal(engine.run(picture(1))["tokens"], wanted(picture(1)))


def test_an_engine_of_a_gpu_that_died_is_released_and_closed(
    opened: Callable[[], TensorRtEngine], driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = driver.live
    engine = opened()
    monkeypatch.setenv("FAKE_CUDA_FAIL", "cuStreamSynchronize:700")
    with pytest.raises(EngineError, match="cuStreamSynchronize"):
        engine.close()
    assert driver.live == before
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.run(picture(1))


class Forgetful:
    """A stream that nobody waits for."""

    def __init__(self, stream: Any) -> None:
        self._stream, self.handle = stream, stream.handle

    def synchronize(self) -> None:
        """Do not."""


@pytest.mark.parametrize(("defers", "is_caught"), [("1", True), ("0", False)])
def test_a_missing_synchronization_is_caught_by_deferred_copies(
    defers: str,
    is_caught: bool,
    opened: Callable[[], TensorRtEngine],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = opened()
    monkeypatch.setenv("FAKE_CUDA_DEFER", defers)
    real = engine._stream
    engine._stream = Forgetful(real)
    found = engine.run(picture(1))["tokens"]
    engine._stream = real
    assert np.array_equal(found, wanted(picture(1))) is not is_caught


def test_an_unpinned_copy_would_be_seen(driver: Driver) -> None:
    from engines.tensorrt.context import current, primary_context, pycuda_driver

    pycuda = pycuda_driver()
    with current(primary_context(0)):
        stream, memory = pycuda.Stream(), pycuda.mem_alloc(64)
        pycuda.memcpy_htod_async(memory, np.zeros(64, np.uint8), stream)
        memory.free()
    assert "unpinned" in driver.lines


def test_a_plan_that_is_none_says_what_tensorrt_said(tmp_path: Path, driver: Driver) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"no plan")
    with pytest.raises(EngineError, match=r"broken.onnx: TensorRT cannot load the plan: Magic tag"):
        open_strict(VERSIONS[0], path)


@pytest.mark.parametrize(
    ("method", "answer", "message"),
    [
        ("set_tensor_address", False, "cannot take an address for image"),
        ("execute_async_v3", False, "cannot run: it gives no reason"),
    ],
)
def test_every_false_of_tensorrt_is_an_error(
    method: str,
    answer: bool,
    message: str,
    opened: Callable[[], TensorRtEngine],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from tests.engines.tensorrt.strict_binding import IExecutionContext

    monkeypatch.setattr(IExecutionContext, method, lambda *_: answer)
    with pytest.raises(EngineError, match=message):
        opened()


def test_no_context_is_an_error(
    opened: Callable[[], TensorRtEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.engines.tensorrt.strict_binding import ICudaEngine

    monkeypatch.setattr(ICudaEngine, "create_execution_context", lambda _: None)
    with pytest.raises(EngineError, match="cannot make a context: it gives no reason"):
        opened()


def test_a_name_that_this_version_lacks_is_refused_by_the_stand_in(
    opened: Callable[[], TensorRtEngine],
) -> None:
    engine: Any = opened()
    with pytest.raises(AttributeError, match="has no execute_async_v2"):
        engine._context.execute_async_v2  # noqa: B018
