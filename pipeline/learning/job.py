"""What is to be cut: a part of a log, for encoders, with labels; and its name in the cache."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

import cv2
import msgspec
import numpy as np
from msgspec import Struct, structs

from engines.bundle import Encoders, EncoderSpec
from pipeline.config import Config, Fusion
from pipeline.label.split import split_path
from pipeline.label.store import beside
from pipeline.replay.virtual import WindowMode

# What is cut depends on these; a cache of another version of one of them is not used.
SOURCES = (
    "engines.logmel",
    "engines.preprocess",
    "pipeline.aligner",
    "pipeline.dataset",
    "pipeline.frontend",
    "pipeline.inputs",
    "pipeline.label.store",
    "pipeline.learning.cutter",
    "pipeline.learning.reading",
    "pipeline.learning.row_file",
    "pipeline.learning.window_folder",
    "pipeline.log.reader",
    "pipeline.log.unpack",
    "pipeline.replay.part",
    "pipeline.replay.recorded_windows",
    "pipeline.replay.tick",
    "pipeline.replay.windows",
)
BLOCK_BYTES = 2**20


class Job(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A part of a log. `names` is {stream in the log: stream of `config`}.

    `part` names one of `sensorium label split`; empty is the whole log. `folder` holds the
    tokenizer of the text encoder, if it has one.
    """

    log: str
    config: Config
    encoders: Encoders
    labels: tuple[str, ...]
    also: tuple[str, ...] = ()
    names: dict[str, str] = {}
    mode: WindowMode = "aligned"
    part: str = ""
    folder: str = ""
    start_s: float = 0.0
    duration_s: float | None = None


def make_job(job: Job) -> Job:
    """The job with nothing in it that does not decide what is cut."""
    config, fusion = job.config, job.config.fusion
    bare = Config(
        name=config.name,
        camera=config.camera,
        microphone=config.microphone,
        text=config.text,
        readings=config.readings,
        fusion=Fusion(tick_hz=fusion.tick_hz, clock=fusion.clock, inputs=fusion.inputs),
    )
    return structs.replace(job, config=bare, encoders=_bare(job.encoders))


def _bare(encoders: Encoders) -> Encoders:
    """What the encoders take, whatever their files are and however many tokens they make."""
    found: dict[str, EncoderSpec] = {
        name: structs.replace(spec, file=f"{name}.onnx", sha256="", tokens=1)
        for name in Encoders.__struct_fields__
        if (spec := getattr(encoders, name)) is not None
    }
    return Encoders(**found)  # type: ignore[arg-type]


def key_of(job: Job) -> str:
    """The name of what is cut: it depends on the bytes of the log and its labels, and on how."""
    log = Path(job.log)
    digest = hashlib.sha256(msgspec.json.encode(structs.replace(job, log="", folder="")))
    for path in (log, beside(log), *([split_path(log)] if job.part else [])):
        digest.update(_digest(path))
    digest.update(code_version(SOURCES))
    return digest.hexdigest()[:32]


def code_version(modules: tuple[str, ...]) -> bytes:
    """Changes with the code of the modules and of the libraries that they compute with."""
    digest = hashlib.sha256(f"{np.__version__} {cv2.__version__}".encode())
    for name in modules:
        spec = find_spec(name)
        assert spec is not None and spec.origin is not None, name
        digest.update(Path(spec.origin).read_bytes())
    return digest.digest()


def _digest(path: Path) -> bytes:
    """Of a file's bytes; of none if there is no file."""
    digest = hashlib.sha256()
    if path.is_file():
        with path.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                digest.update(block)
    return digest.digest()
