"""Every name of TensorRT that the code uses is in each version that it is to run with."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import pytest

import engines.tensorrt
from tests.engines.tensorrt.bindings import NAMES, VERSIONS

Names: TypeAlias = Mapping[str, Sequence[str]]
SOURCES = Path(engines.tensorrt.__path__[0])
# What variables hold, by file; the module itself is always called `trt`.
VARIABLES: Mapping[str, Mapping[str, str]] = {
    "build.py": {
        "builder": "Builder",
        "config": "IBuilderConfig",
        "layer": "ILayer",
        "network": "INetworkDefinition",
        "parser": "OnnxParser",
        "profile": "IOptimizationProfile",
        "row": "ParserError",
        "tensor": "ITensor",
    },
    "timing.py": {"config": "IBuilderConfig"},
    "engine.py": {"_runtime": "Runtime", "engine": "ICudaEngine", "_context": "IExecutionContext"},
}


def names_of(version: str) -> Names:
    found: Names = json.loads(NAMES.read_text(encoding="utf-8"))[version]
    return found


def used(source: str, variables: Mapping[str, str]) -> Iterator[tuple[int, str, str]]:
    """(line, class, name) of each access; the class of what the module itself has is ""."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Attribute):
            continue
        value = node.value
        of = value.id if isinstance(value, ast.Name) else getattr(value, "attr", "")
        if of == "trt":
            yield node.lineno, "", node.attr
        elif isinstance(value, ast.Attribute) and getattr(value.value, "id", "") == "trt":
            yield node.lineno, value.attr, node.attr
        elif of in variables:
            yield node.lineno, variables[of], node.attr


def missing(source: str, variables: Mapping[str, str], names: Names) -> list[str]:
    """What a version lacks of what a source uses."""
    return [
        f"line {line}: {kind or 'trt'}.{name}"
        for line, kind, name in used(source, variables)
        if not name.startswith("__") and name not in names.get(kind, ())
    ]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", sorted(SOURCES.glob("*.py")), ids=lambda path: path.name)
def test_every_version_has_all_names_that_are_used(path: Path, version: str) -> None:
    variables = VARIABLES.get(path.name, {})
    assert missing(path.read_text(encoding="utf-8"), variables, names_of(version)) == []


@pytest.mark.parametrize("file", VARIABLES)
def test_the_check_sees_what_the_variables_are_used_for(file: str) -> None:
    source = (SOURCES / file).read_text(encoding="utf-8")
    seen = {kind for _, kind, _ in used(source, VARIABLES[file])}
    assert seen >= set(VARIABLES[file].values())


@pytest.mark.parametrize(
    ("planted", "versions"),
    [
        ("config.set_flag(trt.BuilderFlag.FP16)", ["11.4.0.106"]),
        ("trt.IInt8EntropyCalibrator2()", ["11.4.0.106"]),
        ("1 << trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH", ["11.4.0.106"]),
        ("builder.platform_has_fast_fp16", ["11.4.0.106"]),
        ("config.max_workspace_size = 1", list(VERSIONS)),
        ("config.tiling_optimization_level = 0", ["10.3.0"]),
    ],
)
def test_a_planted_name_is_found_in_the_versions_that_lack_it(
    planted: str, versions: list[str]
) -> None:
    source = (SOURCES / "build.py").read_text(encoding="utf-8") + planted + "\n"
    found = [v for v in VERSIONS if missing(source, VARIABLES["build.py"], names_of(v))]
    assert found == versions


def test_only_two_modules_import_tensorrt_or_pycuda_and_none_when_it_is_imported() -> None:
    for path in SOURCES.parent.rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            imported = {a.name.split(".")[0] for a in getattr(node, "names", ())}
            module = str(getattr(node, "module", "") or "").split(".")[0]
            assert not {module, *imported} & {"tensorrt", "tensorrt_rtx", "pycuda", "cuda"}, path
