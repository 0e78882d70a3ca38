"""A backend that is not there is an error that says what to install; nothing takes its place."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import onnxruntime
import pytest

from engines import openvino_engine
from engines.backend import BACKENDS, open_engine
from engines.bundle import load_bundle
from engines.error import EngineError
from engines.onnxruntime_engine import CPU, CUDA
from engines.options import EngineOptions
from tests.engines.opener import has_onnxruntime_cuda

IMAGE = load_bundle("home").path("image")


def test_the_backends_are_named_where_one_is_unknown(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=re.escape(", ".join(BACKENDS))):
        open_engine(tmp_path / "any.onnx", "abacus")


def test_openvino_that_is_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    openvino_engine.openvino_core.cache_clear()
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(EngineError, match=r"pip install 'sensorium\[openvino\]'"):
        open_engine(IMAGE, "openvino")


def test_an_onnx_runtime_without_cuda_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CPU])
    with pytest.raises(EngineError, match="built without CUDA; install onnxruntime-gpu"):
        open_engine(IMAGE, "onnxruntime-cuda")


@pytest.mark.skipif(has_onnxruntime_cuda(), reason="this ONNX Runtime has CUDA")
def test_an_onnx_runtime_that_goes_to_the_cpu_instead_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # It names the provider and yet cannot start it: by itself it would go on, on the CPU.
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    with pytest.warns(UserWarning, match=CUDA), pytest.raises(EngineError, match="cannot start"):
        open_engine(IMAGE, "onnxruntime-cuda")


@pytest.mark.parametrize("backend", ["onnxruntime", "onnxruntime-cuda"])
def test_bf16_is_openvinos(backend: str) -> None:
    with pytest.raises(EngineError, match="the backend openvino has it"):
        open_engine(IMAGE, backend, EngineOptions(precision="bf16"))
