"""A small model with a head of every kind, and examples for it."""

from __future__ import annotations

import numpy as np

from engines.example import Array, Example
from engines.fusion.name import DEFAULT_FUSION, FusionName
from engines.noise import noise_input
from engines.plan import (
    Caption,
    Classify,
    Detect,
    ImagePlan,
    Match,
    Model,
    ReadingsPlan,
    Reconstruct,
    Regress,
    Retrieve,
    TextPlan,
    Train,
)

SETS = {
    "truth": ("fall", "quiet", "nap"),
    "objects": ("lamp", "chair", "table"),
    "caption": ("a man falls", "nobody is here", "a woman sleeps on the sofa"),
    "degrees": ("18.5", "21", "23.5"),
}


def plan(fusion: FusionName = DEFAULT_FUSION, **train: int) -> Model:
    return Model(
        fusion=fusion,
        width=32,
        image=ImagePlan(height_px=32, width_px=32, max_streams=2),
        text=TextPlan(length=16),
        readings=ReadingsPlan(names=("temperature",), window=4),
        head={
            "objects": Detect(labels="objects", weight=0.5),
            "situation": Classify(),
            "belong": Match(),
            "near": Retrieve(size=8),
            "said": Caption(words=6, size=16),
            "seen": Reconstruct(of="image"),
            "read": Reconstruct(of="text"),
            "measured": Reconstruct(of="readings"),
            "warmth": Regress(labels="degrees", unit="degC"),
        },
        train=Train(**train),  # type: ignore[arg-type]
    )


def examples(n: int, seed: int = 0) -> list[Example]:
    """Random inputs. Every fifth lacks the picture and every seventh all labels but truth."""
    rng, specs, made = np.random.default_rng(seed), plan().specs(), []
    for i in range(n):
        inputs: dict[str, Array] = {}
        for name in plan().encoders:
            if name != "image" or i % 5 != 4:
                inputs[name] = noise_input(getattr(specs, name), rng)
        sets = SETS if i % 7 != 6 else {"truth": SETS["truth"]}
        targets: dict[str, tuple[str, ...]]
        targets = {name: (values[i % 3],) for name, values in sets.items()}
        if i % 2 and "objects" in targets:
            targets["objects"] = (*targets["objects"], "lamp")
        made.append(Example(inputs=inputs, ages_s=dict.fromkeys(inputs, 0.2), targets=targets))
    return made
