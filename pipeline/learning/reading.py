"""The labelled windows of a job, read from its log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from engines.bundle import Encoders
from pipeline.inputs import Draft
from pipeline.label.split import read_split
from pipeline.learning.job import Job
from pipeline.learning.window_folder import About
from pipeline.log.form import LogError
from pipeline.log.reader import LogReader
from pipeline.replay.part import Choice, Part
from pipeline.replay.windows import LabelledWindows, Sets
from pipeline.sample import LabelledSamples


def labelled(job: Job, about: About) -> Iterator[LabelledSamples]:
    """The windows, as far as the log can be read; `about` is told of what is left out.

    Raises ConfigError, LabelError, ReplayError, and LogError for what is no log.
    """
    specs = {m: s for m in Encoders.__struct_fields__ if (s := getattr(job.encoders, m))}
    choice = Choice(start_s=job.start_s, duration_s=job.duration_s, names=job.names)
    split = read_split(Path(job.log)) if job.part else None
    with LogReader(Path(job.log)) as log:
        part, taker = Part(log, choice), Draft(job.config.name, specs)
        windows = LabelledWindows(part, job.config, taker, job.mode, Sets(job.labels, job.also))
        try:
            for scene in windows:
                if split is None or split.part_at(scene.tick_ns) == job.part:
                    yield scene
        except LogError as error:
            about.damage.append(str(error))
        for stream, of in windows.refused.items():
            before = about.refused.get(stream, (0, of.why))
            about.refused[stream] = (before[0] + of.n, before[1])
