"""Cuts windows of simulated scenes into folders of arrays; also as a process of its own."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
from msgspec import Struct

from engines.bundle import Encoders
from pipeline.config import Config
from pipeline.dataset import ExampleCutter
from pipeline.learning.cache import FEW, Task, processors
from pipeline.learning.cutter import JOB, run, write
from pipeline.learning.job import SOURCES, Job, code_version, make_job
from pipeline.learning.window_folder import About
from sensors import simulator
from sensors.simulator import TRAIN, Home, scene_windows

MODULE = "deploy.scene_cutter"


class SceneJob(Struct, frozen=True, kw_only=True):
    """So many scenes of a simulated home, beginning with number `first`.

    `folder` holds the tokenizer of the text encoder, if it has one.
    """

    config: Config
    encoders: Encoders
    seed: int
    first: int
    scenes: int
    detailed: bool = False
    folder: str = ""


def task_of(config: Config, encoders: Encoders, n_scenes: int, seed: int) -> Task:
    """Scenes to train on, in as many pieces as there are processors."""
    bare = make_job(Job(log="", config=config, encoders=encoders, labels=()))
    n = processors() if n_scenes >= 2 * FEW else 1
    folder = str(config.model.text_folder or "") if config.model else ""
    edges = [1 + n_scenes * k // n for k in range(n + 1)]
    jobs = [
        SceneJob(
            config=bare.config,
            encoders=bare.encoders,
            seed=seed,
            first=edges[k],
            scenes=edges[k + 1] - edges[k],
            detailed=config.simulator.detailed,
            folder=folder,
        )
        for k in range(n)
    ]
    encoded = tuple(map(msgspec.json.encode, jobs))
    sources = sorted(Path(simulator.__path__[0]).glob("[!_]*.py"))
    code = (f"{simulator.__name__}.{path.stem}" for path in sources)
    digest = hashlib.sha256(b"".join(encoded) + code_version((*SOURCES, MODULE, *code)))
    return Task(key=digest.hexdigest()[:32], module=MODULE, jobs=encoded, expected=n_scenes)


def cut(folder: Path) -> None:
    """Do the job of a folder. Raises SensoriumError."""
    job = msgspec.json.decode((folder / JOB).read_bytes(), type=SceneJob)
    home = Home(seed=job.seed, ranges=TRAIN, detailed=job.detailed)
    streams = list(job.config.streams)
    scenes = scene_windows(home, scenes=job.scenes, first=job.first, streams=streams)
    tokenizer = Path(job.folder) if job.folder else None
    write(folder, scenes, ExampleCutter(job.config, job.encoders, tokenizer), About())


def main() -> int:
    """Cut what argv names."""
    return run(cut)
