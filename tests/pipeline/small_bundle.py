"""A bundle with a head of every kind, made of a few matrices: it knows nothing, but all kinds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

onnx = pytest.importorskip("onnx", reason="needs the extra: train")

from engines.bundle import (  # noqa: E402
    FORMAT,
    Encoders,
    File,
    FusionFile,
    Manifest,
    ReadingsSpec,
    TextSpec,
    sha256,
)
from engines.onnxruntime_engine import OnnxRuntimeEngine  # noqa: E402
from engines.output import (  # noqa: E402
    CaptionOutput,
    ClassifyOutput,
    DetectOutput,
    MatchOutput,
    Output,
    ReconstructOutput,
    RegressOutput,
    RetrieveOutput,
)

WIDTH, LENGTH, WORDS = 4, 12, 6
VOCABULARY = ("a", "cat", "dog", "runs", "sleeps")
SPECS = Encoders(
    text=TextSpec(file="text.onnx", sha256="", tokens=2, max_streams=2, length=LENGTH),
    readings=ReadingsSpec(
        file="readings.onnx", sha256="", tokens=1, max_streams=1, names=("temperature",), window=2
    ),
)
HEADS: Mapping[str, Output] = {
    "things": DetectOutput(labels=("lamp", "chair")),
    "situation": ClassifyOutput(labels=("calm", "busy", "odd")),
    "belong": MatchOutput(),
    "near": RetrieveOutput(size=3),
    "said": CaptionOutput(file="said.onnx", sha256="", vocabulary=VOCABULARY, length=WORDS, size=2),
    "seen": ReconstructOutput(of="readings", shape=(2, 1)),
    "warmth": RegressOutput(name="warmth", unit="degC", mean=20.0, spread=3.0),
}
# How each kind answers; the others answer as they are.
ANSWERS = {"classify": "Softmax", "detect": "Sigmoid", "match": "Sigmoid"}
Array = npt.NDArray[Any]


def make_bundle(folder: Path, heads: Mapping[str, Output] = HEADS, name: str = "small") -> Path:
    """Write it; the same heads give the same weights."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(7)
    manifest = Manifest(
        format=FORMAT,
        name=name,
        heads=dict(heads),
        width=WIDTH,
        encoders=SPECS,
        fusion=FusionFile(file="fusion.onnx", sha256="", method="mean"),
        probe=File(file="probe.npz", sha256=""),
    )
    _encoder(folder / "text.onnx", ("text", "INT32", (1, LENGTH)), 2, rng)
    _encoder(folder / "readings.onnx", ("readings", "FLOAT", (1, 2, 1)), 1, rng)
    _fusion(folder / "fusion.onnx", manifest, rng)
    for head in manifest.captions.values():
        _decoder(folder / head.file, head, rng)
    _probe(folder, manifest)
    files = {
        r: msgspec.structs.replace(f, sha256=sha256(folder / f.file))
        for r, f in manifest.files.items()
    }
    own: dict[str, Any] = {role: files.pop(role) for role in ("fusion", "probe")}
    own["heads"] = {name: files.get(name, head) for name, head in heads.items()}
    own["encoders"] = Encoders(**{m: files[m] for m in manifest.specs})  # type: ignore[arg-type]
    (folder / "bundle.json").write_bytes(
        msgspec.json.encode(msgspec.structs.replace(manifest, **own))
    )
    return folder


def _encoder(path: Path, takes: tuple[str, str, tuple[int, ...]], tokens: int, rng: Any) -> None:
    name, _, shape = takes
    size = int(np.prod(shape))
    nodes = [
        ("Cast", [name], ["real"], {"to": onnx.TensorProto.FLOAT}),
        ("Flatten", ["real"], ["flat"], {}),
        ("MatMul", ["flat", "w"], ["made"], {}),
        ("Reshape", ["made", "shape"], ["tokens"], {}),
    ]
    weights: dict[str, Array] = {
        "w": rng.normal(0.0, 0.02, (size, tokens * WIDTH)).astype(np.float32),
        "shape": np.array([1, tokens, WIDTH], np.int64),
    }
    _save(path, nodes, weights, [takes], [("tokens", (1, tokens, WIDTH))])


def _fusion(path: Path, manifest: Manifest, rng: Any) -> None:
    n = manifest.n_slots
    nodes: list[tuple[str, list[str], list[str], dict[str, Any]]] = [
        ("Unsqueeze", ["present", "two"], ["there"], {}),
        ("Mul", ["tokens", "there"], ["seen_tokens"], {}),
        ("Flatten", ["seen_tokens"], ["flat"], {}),
        ("ReduceSum", ["present", "one"], ["n"], {}),
        ("Add", ["n", "least"], ["n_"], {}),
        ("Div", ["present", "n_"], ["attention"], {}),
    ]
    weights: dict[str, Array] = {
        "one": np.array([1], np.int64),
        "two": np.array([2], np.int64),
        "least": np.array([1e-6], np.float32),
    }
    for name, head in manifest.heads.items():
        weights[f"w_{name}"] = rng.normal(0.0, 1.0, (n * WIDTH, head.width)).astype(np.float32)
        kind = str(type(head).__struct_config__.tag)
        if kind == "retrieve":
            nodes += [
                ("MatMul", ["flat", f"w_{name}"], [f"x_{name}"], {}),
                ("Add", [f"x_{name}", "least"], [f"y_{name}"], {}),
                ("LpNormalization", [f"y_{name}"], [name], {"axis": 1}),
            ]
            continue
        nodes += [
            ("MatMul", ["flat", f"w_{name}"], [f"x_{name}"], {}),
            (ANSWERS.get(kind, "Identity"), [f"x_{name}"], [name], {}),
        ]
    takes = [
        ("tokens", "FLOAT", (1, n, WIDTH)),
        ("modality", "INT32", (1, n)),
        ("age", "FLOAT", (1, n)),
        ("present", "FLOAT", (1, n)),
    ]
    makes = [(name, (1, head.width)) for name, head in manifest.heads.items()]
    _save(path, nodes, weights, takes, [*makes, ("attention", (1, n))])


def _decoder(path: Path, head: CaptionOutput, rng: Any) -> None:
    n = len(head.vocabulary) + 1
    nodes = [
        ("Cast", ["words"], ["real"], {"to": onnx.TensorProto.FLOAT}),
        ("MatMul", ["real", "v"], ["told"], {}),
        ("MatMul", ["memory", "w"], ["recalled"], {}),
        ("Sum", ["told", "recalled", "bias"], ["made"], {}),
        ("Reshape", ["made", "shape"], ["logits"], {}),
    ]
    bias = np.zeros((head.length, n), np.float32)
    bias[4, 0] = 1e6  # no caption has a fifth word
    weights = {
        "v": rng.normal(0.0, 0.3, (head.length, head.length * n)).astype(np.float32),
        "w": rng.normal(0.0, 1.0, (head.width, head.length * n)).astype(np.float32),
        "bias": bias.reshape(1, -1),
        "shape": np.array([1, head.length, n], np.int64),
    }
    takes = [("memory", "FLOAT", (1, head.width)), ("words", "INT32", (1, head.length))]
    _save(path, nodes, weights, takes, [("logits", (1, head.length, n))])


def _save(
    path: Path,
    nodes: Sequence[tuple[str, list[str], list[str], dict[str, Any]]],
    weights: Mapping[str, Array],
    takes: Sequence[tuple[str, str, tuple[int, ...]]],
    makes: Sequence[tuple[str, tuple[int, ...]]],
) -> None:
    helper, kinds = onnx.helper, onnx.TensorProto
    graph = helper.make_graph(
        [helper.make_node(op, used, made, **more) for op, used, made, more in nodes],
        path.stem,
        [helper.make_tensor_value_info(n, getattr(kinds, kind), s) for n, kind, s in takes],
        [helper.make_tensor_value_info(name, kinds.FLOAT, shape) for name, shape in makes],
        [onnx.numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(made)
    onnx.save(made, path)


def _probe(folder: Path, manifest: Manifest) -> None:
    rng, arrays = np.random.default_rng(1), dict[str, Array]()
    for role in (*manifest.specs, *manifest.captions, "fusion"):
        engine = OnnxRuntimeEngine(folder / manifest.files[role].file)
        prefix = "" if role in manifest.specs else f"{role}."
        feeds = {
            name: (
                rng.integers(0, 2, spec.shape) if name != "tokens" else rng.normal(size=spec.shape)
            ).astype(spec.dtype)
            for name, spec in engine.inputs.items()
        }
        arrays |= {prefix + name: array for name, array in feeds.items()}
        arrays |= {f"{role}.{name}": array for name, array in engine.run(feeds).items()}
    np.savez(folder / manifest.probe.file, allow_pickle=False, **arrays)
