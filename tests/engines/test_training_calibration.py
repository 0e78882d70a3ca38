"""Temperatures make an overconfident model honest, for each set of modalities by itself."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the extra: train")

from torch import Tensor  # noqa: E402

from engines.head.classify import ClassifyHead  # noqa: E402
from engines.output import ClassifyOutput  # noqa: E402
from engines.plan import Classify  # noqa: E402
from engines.training.calibration import best_temperature, calibrate  # noqa: E402
from engines.training.rows import stack  # noqa: E402
from engines.training.train import train  # noqa: E402
from tests.engines.training_data import LABELS, tiny_examples, tiny_plan  # noqa: E402

BINS = 15


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """More of them wait for each other at such sizes."""
    torch.set_num_threads(1)


def calibration_error(logits: Tensor, target: Tensor) -> float:
    """The expected calibration error with bins of equal width (Guo et al. 2017)."""
    sure, said = torch.softmax(logits, 1).max(1)
    right = (said == target).float()
    bins = (sure * BINS).ceil()
    parts = [bins == number for number in range(1, BINS + 1)]
    return sum(float(((sure - right) * part).sum().abs()) for part in parts) / len(target)


def test_the_best_temperature_undoes_an_exaggeration() -> None:
    torch.manual_seed(0)
    honest = torch.randn(4000, 2)
    target = torch.multinomial(torch.softmax(honest, 1), 1).squeeze(1)
    head = ClassifyHead(Classify(), ClassifyOutput(labels=LABELS), 2)
    temperature = best_temperature(head, 3.0 * honest, target)
    assert temperature == pytest.approx(3.0, rel=0.12)
    before = calibration_error(3.0 * honest, target)
    assert calibration_error(3.0 * honest / temperature, target) < 0.3 * before


def test_each_set_of_modalities_has_its_own_temperature() -> None:
    data = tiny_examples(300, wrong=0.2)
    model = train(data, tiny_plan(unimodal_epochs=0, epochs=3, rate=0.05, fold=0.0))
    head: Any = model.heads["level"]
    assert head.temperature.tolist() == [1.0] * 4  # there was no fold
    fresh = tiny_examples(300, wrong=0.3)
    calibrate(model, stack(fresh, model))
    assert float(head.temperature[0]) == 1.0  # nothing is present: there is nothing to fit
    assert len(set(head.temperature[1:].tolist())) == 3
