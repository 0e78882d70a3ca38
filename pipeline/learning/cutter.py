"""Cuts one part of a log into a folder of arrays; also as a process of its own.

The folder holds `job.json`. What cannot be read to its end is cut as far as it goes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from pipeline.dataset import ExampleCutter
from pipeline.error import SensoriumError
from pipeline.learning.job import Job
from pipeline.learning.reading import labelled
from pipeline.learning.window_folder import About, WindowWriter, write_about
from pipeline.sample import LabelledSamples

JOB = "job.json"


def cut(folder: Path) -> None:
    """Do the job of a folder. Raises SensoriumError."""
    job = msgspec.json.decode((folder / JOB).read_bytes(), type=Job)
    about = About()
    tokenizer = Path(job.folder) if job.folder else None
    cutter = ExampleCutter(job.config, job.encoders, tokenizer)
    write(folder, labelled(job, about), cutter, about)


def write(
    folder: Path, scenes: Iterable[LabelledSamples], cutter: ExampleCutter, about: About
) -> None:
    """Write the windows of the scenes, and at last what there is to tell about them."""
    with WindowWriter(folder, cutter.encoders) as writer:
        for scene in scenes:
            for example in cutter(scene):
                writer.write(scene.tick_ns, example)
    about.windows, about.empty = writer.n_windows, writer.n_empty
    write_about(folder, about)


def main() -> int:
    """Cut what argv names."""
    return run(cut)


def run(work: Callable[[Path], None]) -> int:
    """Do the work of the folder that argv names; the last line on stderr says what went wrong."""
    try:
        work(Path(sys.argv[1]))
    except SensoriumError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0
