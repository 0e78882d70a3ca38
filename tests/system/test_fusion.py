"""Every fusion from simulated scenes to predictions: trained, exported, loaded, run by the node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra: train")
onnx = pytest.importorskip("onnx", reason="needs the extra: train")

from deploy.fusion_comparison import accuracy, table  # noqa: E402
from deploy.simulated_home import cut_examples, home_plan  # noqa: E402
from engines.bundle import Bundle, load_bundle  # noqa: E402
from engines.compiled import CompiledBundle  # noqa: E402
from engines.example import Example  # noqa: E402
from engines.export import LARGEST_ERROR, OPSET, export, parity  # noqa: E402
from engines.fusion.name import FUSIONS, FusionName  # noqa: E402
from engines.model import FusionModel  # noqa: E402
from engines.training.train import train  # noqa: E402
from pipeline.cli import main  # noqa: E402
from pipeline.node import FusionNode  # noqa: E402
from pipeline.sample import Sample  # noqa: E402
from sensors.simulator import TRAIN, UNSEEN  # noqa: E402
from tests.engines.tensorrt_operator import PARSED  # noqa: E402
from tests.pipeline.home import (  # noqa: E402
    CAMERA,
    MICROPHONE,
    config,
    model,
    play,
    recording,
)


@pytest.fixture(scope="module")
def scenes() -> list[Example]:
    """A handful, some of them without words."""
    return cut_examples(TRAIN, n_scenes=24, seed=1)


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    """Four seconds of a home whose microphone fails after one and a half."""
    return [
        sample
        for sample in recording(seed=3, duration_s=4.0)
        if sample.stream != MICROPHONE or sample.t_publish_ns < 1_500_000_000
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", FUSIONS)
def test_a_fusion_is_trained_exported_and_run(
    name: FusionName, scenes: list[Example], samples: list[Sample], tmp_path: Path
) -> None:
    torch.set_num_threads(1)
    trained = train(scenes, home_plan(name, epochs=1, batch=8))
    export(trained, scenes, tmp_path / name, name=name, made_by="a test")
    bundle = load_bundle(str(tmp_path / name))
    assert bundle.manifest.fusion.method == name
    check_graphs(bundle)
    compiled = CompiledBundle(bundle, "onnxruntime")
    check_parity(trained, compiled, scenes)
    check_node(compiled, samples)


@pytest.mark.slow
def test_the_command_trains_the_fusion_that_it_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    assert main(["train", "--scenes", "16", "--fusion", "gated", "--out", str(folder)]) == 0
    manifest = load_bundle(str(folder)).manifest
    assert manifest.fusion.method == "gated"
    assert manifest.made_by == "sensorium train --scenes 16 --fusion gated"


def test_a_fusion_that_does_not_exist_is_told_with_those_that_do(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--fusion", "magic", "--out", str(tmp_path)])
    told = capsys.readouterr().err
    assert all(name in told for name in ("magic", *FUSIONS))


@pytest.mark.slow
def test_fusions_are_compared(capsys: pytest.CaptureFixture[str]) -> None:
    short = ["--scenes", "16", "--epochs", "1", "--only", "mean", "--json"]
    assert main(["compare-fusions", *short]) == 0
    found: dict[str, Any] = msgspec.json.decode(capsys.readouterr().out)
    row = found.pop("mean")
    assert not found
    assert row["parameters"] == 9_864
    assert row["latency_us"] > 0.0
    assert 0.0 <= row["one_missing"] <= 1.0


def test_the_shipped_bundle_is_right_by_the_measure_of_the_comparison() -> None:
    unseen = cut_examples(UNSEEN, n_scenes=40, seed=5)
    found = accuracy(model(), unseen)
    assert found["all"] >= 0.95
    assert found["one_missing"] >= 0.9
    (row,) = table({"home": {"parameters": 77_000, "latency_us": 200.0, **found}}).splitlines()[2:]
    assert row.startswith("| home | 77,000 | 200 |")


def check_graphs(bundle: Bundle) -> None:
    """TensorRT parses them: the opset, static shapes, known operators."""
    for role in (*bundle.manifest.specs, "fusion"):
        graph = onnx.load(bundle.path(role))
        assert [entry.version for entry in graph.opset_import if not entry.domain] == [OPSET]
        assert {node.op_type for node in graph.graph.node} <= PARSED, role
        ends = (*graph.graph.input, *graph.graph.output)
        shapes = [end.type.tensor_type.shape.dim for end in ends]
        assert all(size.dim_value > 0 for shape in shapes for size in shape), role


def check_parity(trained: FusionModel, compiled: CompiledBundle, scenes: Sequence[Example]) -> None:
    """Torch and ONNX Runtime agree on real windows, with and without some of the modalities."""
    names = [*trained.encoders, ""]
    thinned = [
        replace(scene, inputs={m: x for m, x in scene.inputs.items() if m != names[n % len(names)]})
        for n, scene in enumerate(scenes)
    ]
    assert parity(trained, compiled, [*scenes, *thinned]) < LARGEST_ERROR


def check_node(compiled: CompiledBundle, samples: Sequence[Sample]) -> None:
    """Predictions at every tick, with the microphone masked once it is too old."""
    predictions = play(FusionNode(config(), compiled), samples)
    assert len(predictions) >= 39
    assert MICROPHONE not in predictions[14].missing
    assert predictions[14].weights[MICROPHONE] > 0.0
    assert predictions[-1].missing == [MICROPHONE]
    for prediction in predictions:
        assert sum(prediction.scores.values()) == pytest.approx(1.0, abs=1e-4)
        assert all(np.isfinite(score) for score in prediction.scores.values())
        assert sum(prediction.weights.values()) == pytest.approx(1.0, abs=1e-4)
    assert CAMERA in predictions[-1].weights
