"""Training learns, repeats itself, and ends in a bundle that loads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

torch = pytest.importorskip("torch", reason="needs the extra: train")

from engines.bundle import load_bundle  # noqa: E402
from engines.error import EngineError  # noqa: E402
from engines.example import HOME, Example  # noqa: E402
from engines.export import LARGEST_ERROR, export  # noqa: E402
from engines.noise import noise_input  # noqa: E402
from engines.train import Recipe, train  # noqa: E402

LABELS = ("low", "high")
TINY = Recipe(epochs=4, batch=16, rate=2e-3, seed=1)


def examples(n: int) -> list[Example]:
    """Sentences that tell the label; every third has no picture."""
    rng = np.random.default_rng(0)
    specs = {"image": HOME.image, "audio": HOME.audio, "text": HOME.text, "readings": HOME.readings}
    made = []
    for i in range(n):
        inputs = {k: noise_input(spec, rng) for k, spec in specs.items() if spec is not None}
        inputs["text"][:] = 0
        inputs["text"][0, :10] = 98 + i % 2
        if i % 3 == 2:
            del inputs["image"]
        made.append(Example(label=LABELS[i % 2], inputs=inputs, ages_s=dict.fromkeys(inputs, 0.1)))
    return made


def losses(recipe: Recipe) -> list[float]:
    lines: list[str] = []
    train(examples(48), LABELS, HOME, recipe, lines.append)
    return [float(line.rsplit(" ", 1)[1]) for line in lines]


@pytest.mark.slow
def test_training_lowers_the_loss_and_repeats_itself() -> None:
    first = losses(TINY)
    assert len(first) == TINY.epochs
    assert first[-1] < first[0]
    assert losses(TINY) == pytest.approx(first, rel=1e-3)


@pytest.mark.slow
def test_an_exported_bundle_loads_and_its_reference_outputs_hold(tmp_path: Path) -> None:
    data = examples(16)
    model = train(data, LABELS, HOME, Recipe(epochs=1, batch=16), lambda line: None)
    export(model, data[0], tmp_path / "tiny", name="tiny", made_by="a test")
    bundle = load_bundle(str(tmp_path / "tiny"))
    assert bundle.manifest.labels == LABELS
    assert sum(path.stat().st_size for path in bundle.folder.iterdir()) < 4_000_000
    probe = np.load(bundle.path("probe"))
    for modality in bundle.manifest.specs:
        session = onnxruntime.InferenceSession(bundle.path(modality))
        (tokens,) = session.run(["tokens"], {modality: probe[modality]})
        assert np.abs(tokens - probe[f"{modality}.tokens"]).max() < LARGEST_ERROR
    session = onnxruntime.InferenceSession(bundle.path("fusion"))
    names = [entry.name for entry in session.get_inputs()]
    assert names == ["tokens", "modality", "age", "present"]
    scores, attention = session.run(
        ["scores", "attention"], {name: probe[f"fusion.{name}"] for name in names}
    )
    assert np.abs(scores - probe["fusion.scores"]).max() < LARGEST_ERROR
    assert np.abs(attention - probe["fusion.attention"]).max() < LARGEST_ERROR


def test_a_label_that_the_model_does_not_have_is_refused() -> None:
    stranger = Example(label="nowhere", inputs={}, ages_s={})
    with pytest.raises(EngineError, match="nowhere"):
        train([stranger], LABELS, HOME, TINY, lambda line: None)
