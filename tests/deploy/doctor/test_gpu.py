"""What is told of the GPU on a machine without one, and by a driver that is too old."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.doctor import gpu
from deploy.doctor.gpu import gpu_findings
from engines.error import EngineError
from engines.tensorrt.driver import Gpu

ORIN = Gpu(
    index=0,
    name="Orin",
    compute_capability=(8, 7),
    multiprocessors=8,
    memory_bytes=8 * 2**30,
    is_integrated=True,
    cuda_version="12.6",
    driver_version="540.4.0",
)


def no_driver() -> list[Gpu]:
    raise EngineError("no CUDA driver: libcuda.so.1 cannot be loaded; install the NVIDIA driver")


def test_without_a_driver_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "probe", no_driver)
    found = {finding.what: finding for finding in gpu_findings(str(tmp_path))}
    assert found["CUDA driver"].state == "absent"
    assert found["CUDA driver"].todo == "install the NVIDIA driver"
    assert found["engine cache"].state == "ok"


def test_a_gpu_is_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "probe", lambda: [ORIN])
    driver = next(iter(gpu_findings(str(tmp_path))))
    assert driver.said == ("540.4.0, CUDA 12.6: Orin (sm_87, 8 multiprocessors, 8 GiB shared)")


def test_a_cache_that_cannot_be_written_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "probe", no_driver)
    (tmp_path / "file").touch()
    found = {finding.what: finding for finding in gpu_findings(str(tmp_path / "file"))}
    assert found["engine cache"].state == "wrong"
    assert "engine_cache" in found["engine cache"].todo


def test_cuda_bindings_newer_than_the_driver_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cuda.bindings", reason="needs cuda-bindings: make test-tensorrt")
    monkeypatch.setattr(gpu, "version", lambda _: "13.0.3")
    found = gpu._cuda_bindings([ORIN])
    assert found.state == "wrong"
    assert found.todo == "pip install 'cuda-bindings==12.*'"
