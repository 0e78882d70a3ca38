"""Where the simulated home meets the pipeline: the demo's truth, evaluation and training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engines.bundle import load_bundle
from engines.compiled import CompiledBundle
from engines.example import HOME, Example
from engines.fusion.name import FusionName
from pipeline.config import Config
from pipeline.dataset import examples
from pipeline.evaluation import evaluate
from pipeline.loader import load
from pipeline.summary import Truth
from sensors.simulator import SITUATIONS, TRAIN, UNSEEN, Home, Ranges, noise, scene_windows

DEMO = Path(__file__).parent / "config" / "demo.toml"
SETTLED_S = 1.5  # after this much of a scene every window lies within it


def demo_config(overrides: Sequence[str] = ()) -> Config:
    """The configuration of the demo. Raises ConfigError."""
    return load(DEMO, overrides)


def truth(config: Config) -> Truth:
    """What the simulated home hides; only a score may read it."""
    home = Home(seed=config.simulator.seed)

    def label(t_ns: int) -> str | None:
        scene = home.scene_at(t_ns)
        return scene.label if t_ns - scene.start_ns > SETTLED_S * 1e9 else None

    return label


def accuracy(bundle: str, *, n_scenes: int, seed: int) -> dict[str, float]:
    """{condition: accuracy} on scenes drawn from the ranges that no training ever sees."""
    config = demo_config([f"fusion.bundle={bundle}"])
    model = CompiledBundle(load_bundle(bundle), config.fusion.backend)
    home = Home(seed=seed, ranges=UNSEEN)
    return evaluate(
        scene_windows(home, scenes=n_scenes, streams=list(config.streams)), config, model, noise
    )


def cut_examples(ranges: Ranges, *, n_scenes: int, seed: int) -> list[Example]:
    """What the demo's streams would give the encoders at one tick of each scene."""
    config = demo_config()
    home = Home(seed=seed, ranges=ranges)
    windows = scene_windows(home, scenes=n_scenes, streams=list(config.streams))
    return list(examples(windows, config, HOME))


def train_bundle(folder: Path, *, n_scenes: int, seed: int, fusion: FusionName) -> None:
    """Train the bundle "home" on simulated scenes and write it. Needs torch."""
    from engines.export import export
    from engines.train import Recipe, train

    made = cut_examples(TRAIN, n_scenes=n_scenes, seed=seed)
    model = train(made, SITUATIONS, HOME, Recipe(seed=seed, fusion=fusion))
    whole = next(example for example in made if len(example.inputs) == len(model.encoders))
    made_by = f"sensorium train --scenes {n_scenes} --seed {seed} --fusion {fusion}"
    export(model, whole, folder, name="home", made_by=made_by)
