"""Builds the fake CUDA driver, and gives the environment of a process that finds it."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SOURCES = [HERE / "fake_cuda.c", HERE / "fake_memory.c", HERE / "fake_stream.c"]
LIBRARY = "libcuda.so.1"
NOT_SUPPORTED = 801


def needs_fake_cuda(*modules: str) -> None:
    """Skip the test where the fake driver cannot be built, or these modules are missing."""
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc, to build the fake CUDA driver")
    for module in modules:
        if importlib.util.find_spec(module.split(".")[0]) is None:
            pytest.skip(f"needs {module}: make test-tensorrt")


def build(folder: Path) -> Path:
    """Compile it into `folder`; what else pycuda wants of a driver is not supported."""
    text = "".join(source.read_text(encoding="utf-8") for source in SOURCES)
    names = sorted(_wanted_by_pycuda() - set(re.findall(r"^EXPORT Result (\w+)\(", text, re.M)))
    others = folder / "others.c"
    others.write_text(
        "".join(f"int {name}(void) {{ return {NOT_SUPPORTED}; }}\n" for name in names)
    )
    library = folder / LIBRARY
    flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", f"-Wl,-soname,{LIBRARY}"]
    command = ["gcc", *flags, "-o", str(library), *map(str, SOURCES), str(others)]
    subprocess.run(command, check=True, timeout=60, capture_output=True)
    return library


def environment(library: Path, **settings: object) -> dict[str, str]:
    """That of a process which finds the fake driver; FAKE_CUDA_* are the settings."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("FAKE_CUDA_")}
    made: Mapping[str, str] = {f"FAKE_CUDA_{name}": str(v) for name, v in settings.items()}
    return {**kept, "OMP_NUM_THREADS": "1", "LD_LIBRARY_PATH": str(library.parent), **made}


def _wanted_by_pycuda() -> set[str]:
    """The functions of the driver that pycuda is linked against."""
    found = importlib.util.find_spec("pycuda")
    if found is None or not found.submodule_search_locations:
        return set()
    names: set[str] = set()
    for module in Path(found.submodule_search_locations[0]).glob("_driver*.so"):
        command = ["nm", "-D", "--undefined-only", str(module)]
        said = subprocess.run(command, check=True, timeout=60, capture_output=True, text=True)
        names |= set(re.findall(r" U (cu[A-Z]\w+)", said.stdout))
    return names
