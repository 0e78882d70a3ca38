"""The contract and the runtime path of TensorRT over a CUDA driver written for the tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.engines.opener import ON_FAKE_CUDA
from tests.engines.tensorrt import fake_cuda

CONTRACT = "tests/engines/test_engine.py"
RUNTIME = ["on_fake_driver.py", "on_failing_driver.py"]
ROOT = Path(__file__).parents[3]
UNCLOSED = """
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from engines.bundle import load_bundle
from tests.engines.tensorrt.strict_binding import VERSIONS, open_strict
with ThreadPoolExecutor(1) as pool:
    engine = pool.submit(open_strict, VERSIONS[0], load_bundle("home").path("image")).result()
print(engine.run({"image": np.zeros((1, 96, 96, 3), np.uint8)})["tokens"].shape)
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    fake_cuda.needs_fake_cuda("pycuda", "cuda.bindings")
    return fake_cuda.build(tmp_path_factory.mktemp("driver"))


def run_on(library: Path, file: str, **settings: object) -> subprocess.CompletedProcess[str]:
    """Run a file of tests in a process that finds the fake driver."""
    environment = fake_cuda.environment(library, **settings) | {ON_FAKE_CUDA: "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", file]
    return subprocess.run(
        command, env=environment, cwd=ROOT, timeout=110, capture_output=True, text=True
    )


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, {"DEFER": 1}, {"INTEGRATED": 1, "DEFER": 1}])
def test_every_version_of_tensorrt_keeps_the_contract(
    library: Path, settings: dict[str, int]
) -> None:
    done = run_on(library, CONTRACT, **settings)
    assert done.returncode == 0, done.stdout[-4000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout
    assert done.stderr == ""


@pytest.mark.slow
@pytest.mark.parametrize("file", RUNTIME)
def test_the_runtime_path(library: Path, file: str) -> None:
    done = run_on(library, f"tests/engines/tensorrt/{file}")
    assert done.returncode == 0, done.stdout[-6000:]
    assert "skipped" not in done.stdout
    assert done.stderr == ""  # pycuda says there what it could not give back


def test_a_process_that_ends_without_closing_its_engine_ends_well(library: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", UNCLOSED],
        env=fake_cuda.environment(library),
        cwd=ROOT,
        timeout=60,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "(1, 4, 64)\n", "")
