"""A model with a head of every kind becomes a bundle that loads and computes the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra: train")

from engines.bundle import FORMAT, EncoderSpec, load_bundle  # noqa: E402
from engines.compiled import CompiledBundle  # noqa: E402
from engines.error import EngineError  # noqa: E402
from engines.export import LARGEST_ERROR, OPSET, export, parity, write_graph  # noqa: E402
from engines.fusion.name import FUSIONS, FusionName  # noqa: E402
from engines.model import FusionModel, make_model  # noqa: E402
from engines.onnxruntime_engine import OnnxRuntimeEngine  # noqa: E402
from tests.engines.multi_head import examples, plan  # noqa: E402
from tests.engines.tensorrt_operator import PARSED  # noqa: E402


def made(fusion: FusionName, seed: int = 0) -> FusionModel:
    """In the middle of a training."""
    torch.manual_seed(seed)
    model = make_model(plan(fusion), examples(21))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
        head: Any = model.heads["situation"]
        head.temperature.uniform_(0.5, 2.0)
    return model.eval()


def test_a_modality_that_no_example_has_is_told(tmp_path: Path) -> None:
    blind = [x for x in examples(10) if "image" not in x.inputs]
    with pytest.raises(EngineError, match=r"no example has image: leave \[model\.image\] out"):
        export(made("mean"), blind, tmp_path / "x", name="x", made_by="a test")


@pytest.mark.slow
@pytest.mark.parametrize("fusion", FUSIONS)
def test_every_fusion_is_exported_with_every_head(fusion: FusionName, tmp_path: Path) -> None:
    model, path = made(fusion), tmp_path / "fusion.onnx"
    answer, names = model.answer(), (*model.outputs, "attention")
    tokens, feeds = [spec.tokens * spec.max_streams for spec in specs(model)], []
    kinds = np.repeat(np.arange(len(tokens), dtype=np.int32), tokens)[None]
    rng = np.random.default_rng(2)
    for there in ((1, 1, 1), (0, 0, 0), (1, 0, 0), (0, 1, 1), (0, 0, 1)):
        feeds.append(
            {
                "tokens": rng.normal(size=(1, kinds.size, model.width)).astype(np.float32),
                "modality": kinds,
                "age": rng.uniform(0.0, 9.0, (1, kinds.size)).astype(np.float32),
                "present": np.repeat(np.array([there], np.float32), tokens, axis=1),
            }
        )
    write_graph(answer, feeds[0], names, path)
    engine = OnnxRuntimeEngine(path)
    for feed in feeds:
        with torch.no_grad():
            wanted = answer(*(torch.from_numpy(array) for array in feed.values()))
        found = engine.run(feed)
        for name, value in zip(names, wanted, strict=True):
            assert np.isfinite(found[name]).all(), name
            assert np.abs(found[name] - value.numpy()).max() < LARGEST_ERROR, name


@pytest.mark.slow
def test_a_bundle_with_every_head_loads_and_holds_on_windows_as_they_are(tmp_path: Path) -> None:
    import onnx

    model, windows = made("self_attention"), examples(20, seed=3)
    export(model, windows, tmp_path / "x", name="x", made_by="a test")
    bundle = load_bundle(str(tmp_path / "x"))
    manifest = bundle.manifest
    assert manifest.format == FORMAT
    assert list(manifest.heads) == list(plan().head)
    assert (manifest.main, manifest.labels) == ("situation", ("fall", "nap", "quiet"))
    assert manifest.fusion.method == "self_attention"
    for role in (*manifest.specs, "fusion", "said"):
        graph = onnx.load(bundle.path(role))
        assert {x.version for x in graph.opset_import if not x.domain} == {OPSET}
        assert {node.op_type for node in graph.graph.node} <= PARSED, role
    compiled = CompiledBundle(bundle, "onnxruntime")
    assert parity(model, compiled, windows) < LARGEST_ERROR
    speaker = compiled.speaker("said")
    assert speaker.whole(np.zeros((1, manifest.heads["said"].width), np.float32)) is not None
    compiled.close()


def specs(model: FusionModel) -> list[EncoderSpec]:
    return [model.spec(name) for name in model.encoders]
