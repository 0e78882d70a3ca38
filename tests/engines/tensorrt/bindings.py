"""Writes tensorrt_names.json: the names that versions of the real TensorRT bindings have.

    pip download --no-deps -d wheels tensorrt-cu12-bindings==10.3.0     # and so on, by VERSIONS
    python -m tests.engines.tensorrt.bindings wheels/*.whl

The bindings need three libraries of TensorRT, of which they use nine functions before any object
is made. Libraries with these nine, which return nothing, are enough to import them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

NAMES = Path(__file__).parent.parent / "tensorrt_names.json"
VERSIONS = ("10.3.0", "10.13.3.9", "10.16.1.11", "11.4.0.106")
FUNCTIONS = """
    createInferBuilder_INTERNAL createInferRefitter_INTERNAL createInferRuntime_INTERNAL
    getBuilderPluginRegistry getPluginRegistry initLibNvInferPlugins createNvOnnxParser_INTERNAL
    createNvOnnxParserRefitter_INTERNAL getNvOnnxParserVersion
"""
# What building and running an engine may touch; of all other classes only that they are there.
CLASSES = """
    Builder BuilderFlag DataType IBuilderConfig ICudaEngine IExecutionContext IHostMemory ILayer
    ILogger INetworkDefinition IOptimizationProfile IProgressMonitor ITensor ITimingCache LayerType
    MemoryPoolType NetworkDefinitionCreationFlag OnnxParser OnnxParserFlag ParserError Runtime
    TensorIOMode TensorLocation
"""
# Runs where the bindings are: {class: names of its own and inherited}, "" for the module itself.
DUMP = """
import json, sys
import tensorrt_bindings as trt
def names(kind):
    return sorted(n for n in dir(kind) if not n.startswith("_"))
found = {name: names(getattr(trt, name)) for name in sys.argv[1:]}
print(json.dumps({trt.__version__: {"": names(trt), **found}}))
"""


def names(wheel: Path) -> dict[str, dict[str, list[str]]]:
    """{version: {class: names}} of the bindings in a wheel, for the Python that runs this."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with zipfile.ZipFile(wheel) as file:
            file.extractall(folder)
        _write_libraries(folder, major=wheel.name.split("-")[1].split(".")[0])
        dumped = subprocess.run(
            [sys.executable, "-c", DUMP, *CLASSES.split()],
            env={**os.environ, "LD_LIBRARY_PATH": str(folder), "PYTHONPATH": str(folder)},
            check=True,
            capture_output=True,
        )
    found: dict[str, dict[str, list[str]]] = json.loads(dumped.stdout)
    return found


def _write_libraries(folder: Path, major: str) -> None:
    functions = "".join(
        f"void *{function}(void) {{ return 0; }}\n" for function in FUNCTIONS.split()
    )
    for library in ("nvinfer", "nvinfer_plugin", "nvonnxparser"):
        source = folder / f"{library}.c"
        source.write_text(functions if library == "nvinfer" else "")
        file = f"lib{library}.so.{major}"
        subprocess.run(
            ["gcc", "-shared", "-fPIC", f"-Wl,-soname,{file}", "-o", folder / file, source],
            check=True,
        )


def _classes(found: dict[str, list[str]]) -> str:
    """A line a class, so that a difference between two files can be read."""
    return ",\n".join(f'"{name}": {json.dumps(found[name])}' for name in sorted(found))


def main() -> None:
    """Write the names of the wheels in argv."""
    found: dict[str, dict[str, list[str]]] = {}
    for wheel in sys.argv[1:]:
        found |= names(Path(wheel))
    versions = ",\n".join(f'"{v}": {{\n{_classes(found[v])}\n}}' for v in VERSIONS)
    NAMES.write_text(f"{{\n{versions}\n}}\n")


if __name__ == "__main__":
    main()
