"""Where there is no GPU: one line, at the start, and nothing is imported that would crash."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engines.tensorrt import driver

NO_GPU = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
PROGRAM = """
import sys
from pathlib import Path
from engines.backend import open_engine
from engines.error import EngineError
try:
    open_engine(Path("any.onnx"), sys.argv[1])
except EngineError as error:
    print(error)
modules = ("tensorrt", "tensorrt_rtx", "tensorrt_rtx_bindings", "pycuda", "cuda", "onnxruntime")
print(sorted(set(modules) & set(sys.modules)))
"""


@pytest.mark.parametrize("backend", ["tensorrt", "tensorrt-rtx"])
def test_without_a_gpu_it_is_one_line_and_nothing_else_is_imported(backend: str) -> None:
    command = [sys.executable, "-c", PROGRAM, backend]
    done = subprocess.run(command, env=NO_GPU, timeout=60, capture_output=True, text=True)
    message, modules = done.stdout.splitlines()
    assert done.returncode == 0
    assert message.startswith(("no CUDA driver: libcuda.so.1", "no CUDA GPU: the driver finds"))
    assert "choose another backend" in message
    assert modules == "[]"
    assert done.stderr == ""


def test_the_version_is_that_of_the_kernel_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = tmp_path / "version"
    monkeypatch.setattr(driver, "KERNEL_MODULE", said)
    assert driver._kernel_module() == ""
    said.write_text(
        "NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  540.4.0  Release Build\n"
        "GCC version:  gcc version 11.4.0 (Ubuntu 11.4.0)\n"
    )
    assert driver._kernel_module() == "540.4.0"
