"""Which logs can be used, and how: streams are matched, and what is not usable is told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from engines.bundle import Encoders
from pipeline.config import Config
from pipeline.inputs import Draft, choose_inputs
from pipeline.label.split import Split, read_split
from pipeline.label.store import all_labels
from pipeline.learning.error import LearningError
from pipeline.learning.job import Job, make_job
from pipeline.loader import amend, load
from pipeline.log.form import LogError
from pipeline.log.reader import LogReader
from pipeline.replay.part import Choice, Part, ReplayError
from pipeline.replay.virtual import WindowMode, find_predictions
from pipeline.sample import Label
from pipeline.stream import MODALITY, kind_of

TRUTH = "truth"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is wanted of each log. A tick is cut if a set of `labels` says something of it; `also`
    are further sets. `part` names one of a split; empty is all. `folder` holds the tokenizer."""

    encoders: Encoders
    labels: tuple[str, ...]
    also: tuple[str, ...] = ()
    mode: WindowMode = "aligned"
    part: str = ""
    folder: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """A log that can be used. `expected` is about how many ticks have one of the labels, which
    are sorted by their beginning; the log lasts from `start_ns` for `length_s`."""

    job: Job
    expected: int
    labels: list[Label]
    start_ns: int
    length_s: float


def config_of(logs: Sequence[Path], path: Path | None, overrides: Sequence[str]) -> Config:
    """The configuration of a file, or that of the first log. Raises ConfigError, LearningError."""
    if path is not None:
        return load(path, overrides)
    with LogReader(logs[0]) as log:
        config = log.config
    if config is None:
        raise LearningError(f"{logs[0]} holds no configuration: name one with --config FILE")
    return amend(config, overrides, f"the configuration of {logs[0]}")


def sources_of(
    logs: Sequence[Path], config: Config, wanted: Wanted
) -> tuple[list[Source], list[str]]:
    """The logs that have what is wanted, and what is to be told of them all.

    Raises ConfigError, LabelError, and LearningError where no log can be used.
    """
    made: list[Source] = []
    notes: list[str] = []
    for log in logs:
        try:
            source, told = _source(log, config, wanted)
        except (LogError, ReplayError, LearningError) as error:
            notes.append(f"skipped: {error}")
            continue
        made.append(source)
        notes += told
    if not made:
        raise LearningError("; ".join(notes))
    if len(made) < len(logs):
        notes.append(f"{len(logs) - len(made)} of {len(logs)} logs are left out")
    return made, notes


def _source(log: Path, config: Config, wanted: Wanted) -> tuple[Source, list[str]]:
    with LogReader(log) as reader:
        names, notes = match_streams(log.name, reader.streams, fused(config, wanted.encoders))
        part = Part(reader, Choice(names=names))  # a log without samples is told here
        sets, labels = _labels(log, wanted.labels)
        job = Job(
            log=str(log.resolve()),
            config=config,
            encoders=wanted.encoders,
            labels=sets,
            also=wanted.also,
            names=names,
            mode=wanted.mode,
            part=wanted.part,
            folder=wanted.folder,
        )
        rate_hz = _rate_hz(reader, part, job)
    length_s = part.length_ns / 1e9
    times_s = [(label.t_until_ns - label.t_capture_ns) / 1e9 for label in labels]
    labelled = sum(max(1.0, s * rate_hz) for s in times_s) if sets else length_s * rate_hz
    expected = round(labelled * _share(log, wanted.part, part))
    return Source(make_job(job), expected, labels, part.log_start_ns, length_s), notes


def _share(log: Path, name: str, part: Part) -> float:
    """How much of a log belongs to a part of its split. Raises LearningError."""
    if not name:
        return 1.0
    split: Split = read_split(log)
    if name not in split.parts:
        raise LearningError(f"{log}: its split has no part {name!r}: {', '.join(split.parts)}")
    held_ns = sum(end_ns - start_ns for start_ns, end_ns in split.parts[name])
    return held_ns / max(1, part.length_ns)


def fused(config: Config, encoders: Encoders) -> list[str]:
    """The streams of a configuration that these encoders take. Raises ConfigError."""
    specs = {m: s for m in Encoders.__struct_fields__ if (s := getattr(encoders, m))}
    chosen = choose_inputs(config, Draft(config.name, specs))
    return [stream for streams in chosen.values() for stream in streams]


def match_streams(
    log: str, found: Iterable[str], wanted: Sequence[str]
) -> tuple[dict[str, str], list[str]]:
    """{stream of the log: that of the configuration it stands for}, where the names differ.

    Only what is alone of its kind on both sides stands for another. Notes tell of that, and of
    streams that the log does not have. Raises LearningError for a log that has none of them.
    """
    there = {stream for stream in found if kind_of(stream) in MODALITY}
    names: dict[str, str] = {}
    notes: list[str] = []
    for kind in MODALITY:
        spare = [s for s in sorted(there - set(wanted)) if kind_of(s) == kind]
        lacking = [s for s in wanted if kind_of(s) == kind and s not in there]
        if len(spare) == len(lacking) == 1:
            names[spare[0]] = lacking[0]
            notes.append(f"{log}: {spare[0]} stands for {lacking[0]}")
        elif lacking:
            has = f"; it has {', '.join(spare)}" if spare else ""
            notes.append(f"{log}: has no {', '.join(lacking)}{has}")
    if not names and not there & set(wanted):
        has = ", ".join(sorted(there)) or "none"
        raise LearningError(f"{log} has none of {', '.join(wanted)}; its streams: {has}")
    return names, notes


def _labels(log: Path, wanted: Sequence[str]) -> tuple[tuple[str, ...], list[Label]]:
    """The sets that choose the ticks, and their labels by their beginning.

    Where none is wanted, the truth chooses them if there is one, and else every tick is taken.
    Raises LearningError.
    """
    sets = {stream.partition("/")[2]: of for stream, of in all_labels(log).items() if of}
    chosen: tuple[str, ...]
    if not wanted:
        chosen = (TRUTH,) if TRUTH in sets else ()
    elif sets.keys() & set(wanted):
        chosen = tuple(wanted)
    else:
        has = f"its label sets: {', '.join(sorted(sets))}" if sets else "it has no labels"
        raise LearningError(
            f"{log.name} has no labels of {', '.join(wanted)}; {has}: see `sensorium label set`"
        )
    found = [label for name in chosen for label in sets.get(name, ())]
    return chosen, sorted(found, key=lambda label: label.t_capture_ns)


def _rate_hz(reader: LogReader, part: Part, job: Job) -> float:
    """About how many ticks a second of the log has."""
    originals = {stream: name for name, stream in job.names.items()}
    ticking = find_predictions(part, job.config) or job.config.fusion.clock
    line = reader.streams.get(originals.get(ticking, ticking))
    if line is None or line.n_messages < 2:
        return job.config.tick_hz
    return (line.n_messages - 1) * 1e9 / (line.last_publish_ns - line.first_publish_ns + 1)
