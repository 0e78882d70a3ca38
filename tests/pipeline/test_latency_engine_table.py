"""`sensorium bench engines`: figures, ratios, and what bf16 is worth."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from engines.backend import open_engine
from engines.bench.subject import of_encoders
from engines.compiled import CompiledBundle
from engines.options import EngineOptions
from pipeline.cli import main
from pipeline.config import Config
from pipeline.latency.engine_table import figures, measure, text
from pipeline.sample import LabelledSamples
from sensors.simulator.scene import CUES
from tests.engines.opener import has_bf16

MOST = 0.75  # of the time of ONNX Runtime
SIZE_PX = 224
N_SCENES = 100
N_PICTURES = 120  # half of them to fit the labels, half to judge


def test_a_contender_is_compared_with_the_reference_call_by_call() -> None:
    rng = np.random.default_rng(0)
    reference = list(rng.uniform(1.0, 1.1, 90))
    found = figures([2 * value for value in reference], reference)
    middle, low, high = found["ratio"]
    assert low <= middle <= high
    assert middle == pytest.approx(2.0)
    assert found["p50_ms"] <= found["p99_ms"]
    assert "ratio" not in figures(reference, reference)
    assert "ratio" not in figures(reference[:20], list(reference[:20]))


@pytest.mark.slow
def test_the_command_measures_every_graph_of_a_bundle(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["bench", "engines", "--bundle", "home", "--rounds-each", "4", "--period-ms", "0"]
    assert main([*arguments, "--json"]) == 0
    found = msgspec.json.decode(capsys.readouterr().out)
    assert found["graphs"].keys() >= {"image", "audio", "text", "readings", "fusion"}
    assert all("onnxruntime" in contenders for contenders in found["graphs"].values())
    assert found["paced"] == {"rounds": 4, "period_ms": 0.0, "threads": 1}
    assert "cores" in found["machine"]
    assert "onnxruntime" in text(found)


def pictures() -> Iterator[tuple[Any, str]]:
    """(uint8 (1, SIZE_PX, SIZE_PX, 3), what it shows) of the simulated home."""
    from msgspec.structs import replace

    from deploy.simulated_home import demo_config, unseen
    from engines.bundle import Encoders
    from engines.example import HOME
    from pipeline.dataset import examples

    config = demo_config()
    assert HOME.image is not None
    encoders = Encoders(image=replace(HOME.image, height_px=SIZE_PX, width_px=SIZE_PX))
    for example in examples(unseen(config, N_PICTURES, 5), config, encoders):
        if "image" in example.inputs:
            # A picture alone settles no situation, but it does settle what it shows.
            yield example.inputs["image"], CUES[example.targets["truth"][-1]].look


def classifier(tokens: Any, labels: list[str]) -> Any:
    """Ridge regression onto one output a label: the label of rows of tokens."""
    names = sorted(set(labels))
    wanted = np.array([[float(label == name) for name in names] for label in labels])
    kernel = tokens @ tokens.T + 1e-1 * np.trace(tokens @ tokens.T) / len(tokens) * np.eye(
        len(tokens)
    )
    weights = tokens.T @ np.linalg.solve(kernel, wanted)
    return lambda rows: [names[at] for at in (rows @ weights).argmax(1)]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not has_bf16(), reason="needs a CPU with bf16")
def test_bf16_is_worth_a_quarter_of_the_largest_image_encoder_and_changes_no_label(
    tmp_path: Path,
) -> None:
    pytest.importorskip("torch", reason="needs the extra: train")
    [subject] = of_encoders(["image/resnet50"], tmp_path, SIZE_PX, compiled=False)
    found = measure([subject], 60, 0.02)["graphs"][subject.name]
    middle, low, high = found["openvino bf16"]["ratio"]
    print(f"openvino bf16 / onnxruntime: {middle:.3f} ({low:.3f} to {high:.3f})")  # noqa: T201
    assert middle <= MOST

    seen = list(pictures())
    tokens = {}
    for backend, precision in (("onnxruntime", ""), ("openvino", "bf16")):
        engine = open_engine(subject.path, backend, EngineOptions(precision=precision))
        rows = [engine.run({"image": picture})["tokens"].ravel() for picture, _ in seen]
        tokens[backend] = np.stack(rows)
        engine.close()
    half = len(seen) // 2
    shown = [name for _, name in seen]
    label = classifier(tokens["onnxruntime"][:half], shown[:half])
    wanted = label(tokens["onnxruntime"][half:])
    right = sum(map(str.__eq__, wanted, shown[half:])) / len(wanted)
    print(f"right, of what random weights see: {right:.2f}")  # noqa: T201
    assert label(tokens["openvino"][half:]) == wanted


def decided(scene: LabelledSamples, config: Config, model: CompiledBundle) -> str:
    """What the node makes of the samples of a scene."""
    from pipeline.node import FusionNode

    node = FusionNode(config, model)
    samples = [sample for stream in scene.samples.values() for sample in stream]
    for sample in sorted(samples, key=lambda s: s.t_publish_ns):
        node.accept(sample, sample.t_publish_ns)
    return node.tick(scene.tick_ns).top


@pytest.mark.slow
@pytest.mark.skipif(not has_bf16(), reason="needs a CPU with bf16")
def test_in_bf16_the_shipped_bundle_decides_as_in_fp32() -> None:
    from deploy.simulated_home import demo_config, unseen
    from engines.bundle import load_bundle

    config, bundle = demo_config(), load_bundle("home")
    scenes = list(unseen(config, N_SCENES, 6))
    tops = {}
    for backend in ("onnxruntime", "openvino"):
        model = CompiledBundle(bundle, backend)
        tops[backend] = [decided(scene, config, model) for scene in scenes]
        model.close()
    assert tops["openvino"] == tops["onnxruntime"]
