"""Where the simulated home meets the pipeline: the demo's truth, evaluation and training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from msgspec.structs import replace

from deploy.scene_cutter import task_of
from engines.bundle import Encoders
from engines.example import HOME, Example
from engines.fusion.name import FusionName
from engines.plan import Model
from pipeline.config import Config
from pipeline.dataset import examples
from pipeline.label.truth import Truths
from pipeline.learning.cache import Task
from pipeline.loader import load
from pipeline.sample import LabelledSamples
from pipeline.summary import Truth
from sensors.simulator import UNSEEN, Home, Ranges, Scene, scene_windows
from sensors.simulator import noise as noise
from sensors.simulator.labels import labels_of

DEMO = Path(__file__).parent / "config" / "demo.toml"
HOME_PLAN = Path(__file__).parent / "train" / "home.toml"
N_COMPARED = 200  # windows on which torch and ONNX Runtime must agree
SETTLED_S = 1.5  # after this much of a scene every window lies within it


def demo_config(overrides: Sequence[str] = ()) -> Config:
    """The configuration of the demo. Raises ConfigError."""
    return load(DEMO, overrides)


def truth(config: Config) -> Truth:
    """What the simulated home hides; only a score may read it."""
    home = Home(seed=config.simulator.seed)

    def label(t_ns: int) -> str | None:
        scene = home.scene_at(t_ns)
        return scene.label if _is_settled(scene, t_ns) else None

    return label


def truths(config: Config) -> Truths:
    """All that is known of the simulated home at a time: {label set: labels}."""
    home = Home(seed=config.simulator.seed)
    labels = lru_cache(maxsize=2)(lambda index: labels_of(home.scene(index)))

    def known(t_ns: int) -> Mapping[str, tuple[str, ...]] | None:
        scene = home.scene_at(t_ns)
        return labels(scene.index) if _is_settled(scene, t_ns) else None

    return known


def _is_settled(scene: Scene, t_ns: int) -> bool:
    return t_ns - scene.start_ns > SETTLED_S * 1e9


def unseen(config: Config, n_scenes: int, seed: int) -> Iterator[LabelledSamples]:
    """Windows to judge by: scenes drawn from the ranges that no training ever sees."""
    home = Home(seed=seed, ranges=UNSEEN, detailed=config.simulator.detailed)
    return scene_windows(home, scenes=n_scenes, streams=list(config.streams))


def scene_task(config: Config, encoders: Encoders, n_scenes: int, seed: int) -> Task:
    """Windows to train on, one a scene."""
    return task_of(config, encoders, n_scenes, seed)


def cut_examples(ranges: Ranges, *, n_scenes: int, seed: int) -> list[Example]:
    """What the demo's streams would give the encoders at one tick of each scene."""
    config = demo_config()
    home = Home(seed=seed, ranges=ranges)
    windows = scene_windows(home, scenes=n_scenes, streams=list(config.streams))
    return list(examples(windows, config, HOME))


def home_plan(fusion: FusionName, **train: int) -> Model:
    """The plan of the bundle "home" with another fusion, and other keys of [model.train]."""
    plan = load(HOME_PLAN).model
    assert plan is not None
    return replace(plan, fusion=fusion, train=replace(plan.train, **train))
