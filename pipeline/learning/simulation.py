"""What the commands need of a simulated home, which stands outside of the pipeline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from engines.bundle import Encoders
from pipeline.config import Config
from pipeline.learning.cache import Task
from pipeline.sample import LabelledSamples, Sample


class Simulation(Protocol):
    """Scenes to train on, and others, from ranges that no training ever sees, to judge by.

    `HOME_PLAN` is the file of the configuration that the shipped bundle is trained with.
    """

    HOME_PLAN: Path

    def demo_config(self, overrides: Sequence[str] = ()) -> Config:
        """A configuration of which the home has every stream."""
        ...

    def unseen(self, config: Config, n_scenes: int, seed: int) -> Iterator[LabelledSamples]:
        """Windows to judge by, one a scene."""
        ...

    def scene_task(self, config: Config, encoders: Encoders, n_scenes: int, seed: int) -> Task:
        """Windows to train on, one a scene."""
        ...

    def noise(self, samples: Sequence[Sample], rng: np.random.Generator) -> Sequence[Sample]:
        """The same stream with the same times, but each sample is noise."""
        ...
