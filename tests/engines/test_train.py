"""What was trained ends in a bundle that loads, with its rival beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra: train")

from engines.bundle import load_bundle  # noqa: E402
from engines.compiled import CompiledBundle  # noqa: E402
from engines.export import LARGEST_ERROR, export, parity  # noqa: E402
from engines.training.train import train_with_rival  # noqa: E402
from tests.engines.training_data import LABELS, tiny_examples, tiny_plan  # noqa: E402


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """More of them wait for each other at such sizes."""
    torch.set_num_threads(1)


@pytest.mark.slow
def test_a_trained_model_and_its_rival_are_exported(tmp_path: Path) -> None:
    data = tiny_examples(64)
    model, rival = train_with_rival(data, tiny_plan(teachers=2))
    assert rival is not None
    for name, made in (("model", model), ("rival", rival)):
        export(made, data[:20], tmp_path / name, name=name, made_by="a test")
        bundle = load_bundle(str(tmp_path / name))
        assert bundle.manifest.heads["level"].labels == LABELS  # type: ignore[union-attr]
        compiled = CompiledBundle(bundle, "onnxruntime")
        assert parity(made, compiled, data[:20]) < LARGEST_ERROR
        compiled.close()
    assert rival.fusion.name == "product"
    assert not np.array_equal(
        model.encoders["text"].norm.weight.numpy(force=True),  # type: ignore[union-attr, operator]
        rival.encoders["text"].norm.weight.numpy(force=True),  # type: ignore[union-attr, operator]
    )
