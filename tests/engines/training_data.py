"""Tiny examples to train on: readings and sentences that tell the label, and plans for them."""

from __future__ import annotations

from typing import Any

import numpy as np

from engines.example import Example
from engines.plan import Classify, Model, ReadingsPlan, TextPlan, Train

LABELS = ("low", "high")


def tiny_plan(**train: Any) -> Model:
    """Readings and a short text; two labels."""
    return Model(
        fusion="reliability",
        width=8,
        text=TextPlan(encoder="gru", length=6),
        readings=ReadingsPlan(names=("temperature",), window=4),
        head={"level": Classify(classes=LABELS)},
        train=Train(**{"epochs": 2, "unimodal_epochs": 1, "batch": 16, "seed": 3, **train}),
    )


def tiny_examples(n: int, *, wrong: float = 0.0) -> list[Example]:
    """Examples of which a share `wrong` has the other label."""
    rng = np.random.default_rng(0)
    made = []
    for i in range(n):
        truth = i // 2 % 2
        slope = np.linspace(0.0, 1.0 if truth else -1.0, 4, dtype=np.float32)
        noise = rng.normal(0.0, 0.7, 4).astype(np.float32)
        text = np.full((1, 6), 98 + truth, np.int32)
        readings = (20.0 + slope + noise)[None, :, None]
        label = truth ^ int(rng.random() < wrong)
        made.append(
            Example(
                inputs={"text": text, "readings": readings},
                ages_s={"text": 0.1, "readings": 0.2},
                targets={"truth": (LABELS[label],)},
            )
        )
    return made
