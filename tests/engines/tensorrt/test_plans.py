"""Every graph of every bundle and of every example is parsed and built by the real TensorRT-RTX."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the extra: tensorrt-rtx")
pytest.importorskip("tensorrt_rtx_bindings", reason="needs the extra: tensorrt-rtx")

from engines.bundle import SHIPPED, load_bundle, read_manifest
from engines.example import Example
from engines.noise import noise_input
from engines.plan import Model
from pipeline.loader import load
from tests.engines.tensorrt.plans import check_graph, check_plans

EXAMPLES = Path(__file__).parents[3] / "deploy" / "example"
MADE = ("fp32", "tf32", "fp16")  # without a file of their own
BUNDLES = sorted(path.parent for path in SHIPPED.glob("*/bundle.json"))
CASES = [
    (folder, precision)
    for folder in BUNDLES
    for precision in (*MADE, *(set(read_manifest(folder).variants) - set(MADE)))
]


def ids(value: Path | str) -> str:
    return value.name if isinstance(value, Path) else value


@pytest.mark.parametrize(("folder", "precision"), CASES, ids=ids)
def test_a_shipped_bundle_builds(folder: Path, precision: str) -> None:
    check_plans(load_bundle(str(folder)), precision)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The graphs that were made before: examples share encoders."""
    return tmp_path_factory.mktemp("graphs")


@pytest.mark.slow
@pytest.mark.timeout(400)  # torch exports slowly where others work, too
@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=ids)
def test_the_model_of_an_example_builds(path: Path, written: Path) -> None:
    """With random weights: what is built is the same."""
    pytest.importorskip("torch", reason="needs the extra: train")
    from engines.tensorrt.precision import to_fp16

    plan = load(path).model
    assert plan is not None, "an example is there to be trained"
    for graph in untrained(plan, written, path.stem):
        check_graph(graph.read_bytes(), f"{graph.name} fp32")
        check_graph(to_fp16(graph.read_bytes()), f"{graph.name} fp16")


def untrained(plan: Model, folder: Path, name: str) -> Iterator[Path]:
    """The graphs of a plan that has learned nothing, as a bundle would have them."""
    from engines.draft import draft_outputs
    from engines.export import write_graph
    from engines.model import FusionModel, draft_specs

    specs, rng = draft_specs(plan), np.random.default_rng(0)
    inputs = {name: noise_input(getattr(specs, name), rng) for name in plan.encoders}
    # A label that is a word and a number, too.
    examples = [
        Example(inputs=inputs, ages_s={}, targets=dict.fromkeys(plan.label_sets, (str(n % 2),)))
        for n in range(4)
    ]
    model: Any = FusionModel(plan, specs, draft_outputs(plan, examples)).eval()
    for modality, own in plan.encoders.items():
        path = folder / f"{modality}-{own.encoder}-{hash(str(model.spec(modality)))}.onnx"
        if not path.exists():
            feeds = {modality: inputs[modality]}
            write_graph(model.encoders[modality], feeds, ("tokens",), path)
            yield path
    slots = 4 * len(plan.encoders)
    feeds = {
        "tokens": rng.standard_normal((1, slots, plan.width), np.float32),
        "modality": np.arange(slots, dtype=np.int32)[None] // 4,
        "age": np.ones((1, slots), np.float32),
        "present": np.ones((1, slots), np.float32),
    }
    heads = (*model.outputs, "attention")
    said = write_graph(model.answer(), feeds, heads, folder / f"{name}.onnx")
    yield folder / f"{name}.onnx"
    for head, output in model.outputs.items():
        if hasattr(model.heads[head], "decoder"):
            path = folder / f"{name}-{head}.onnx"
            feeds = {"memory": said[head], "words": np.zeros((1, output.length), np.int32)}
            write_graph(model.heads[head].decoder, feeds, ("logits",), path)
            yield path
