"""Where labels live: in the log, as streams label/SET, or in the file FILE.labels.jsonl beside it.

A set in the file beside the log takes the place of one of the same name in the log.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from pipeline.error import SensoriumError
from pipeline.exchange.draft import draft
from pipeline.log.reader import LogReader
from pipeline.sample import Label
from pipeline.stream import kind_of

KIND = "label"
SUFFIX = ".labels.jsonl"
MAX_LABELS = 4_000_000
MAX_LINE_BYTES = 64 * 2**10
Sets = dict[str, list[Label]]  # {"label/SET": its labels, in order of their beginning}


class LabelError(SensoriumError):
    """Labels cannot be read, made or stored; one line says why."""


def labels_of(log_file: Path, name: str = "truth") -> list[Label]:
    """The labels of one set, by their beginning; none if there is no such set. Raises LabelError,
    LogError."""
    return all_labels(log_file).get(f"{KIND}/{name}", [])


def all_labels(log_file: Path) -> Sets:
    """All sets of a log and of the file beside it. Raises LabelError, LogError."""
    with LogReader(log_file) as log:
        streams = [stream for stream in log.streams if kind_of(stream) == KIND]
        found = [s for s in log.samples(streams) if isinstance(s, Label)] if streams else []
    return {**_sets(found), **read_beside(log_file)}


def beside(log_file: Path) -> Path:
    """The name of the file with the labels of a log."""
    return log_file.with_name(log_file.name + SUFFIX)


def read_beside(log_file: Path) -> Sets:
    """The sets in the file beside a log; none if there is no file. Raises LabelError."""
    path, found = beside(log_file), list[Label]()
    decoder = msgspec.json.Decoder(Label)
    try:
        with path.open("rb") as file:
            while line := file.readline(MAX_LINE_BYTES):
                found.append(decoder.decode(line))
                if kind_of(found[-1].stream) != KIND or len(found) > MAX_LABELS:
                    raise LabelError(f"{path}: line {len(found)} is no label, or one too many")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise LabelError(f"{path}: cannot be read: {error.strerror}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise LabelError(f"{path}: line {len(found) + 1} is no label: {error}") from error
    return _sets(found)


def write_beside(log_file: Path, sets: Mapping[str, Sequence[Label]]) -> Path:
    """Write the file beside a log anew, whole or not at all. Raises ExchangeError."""
    path = beside(log_file)
    with draft(path, replace=True) as made, made.open("wb") as file:
        for stream in sorted(sets):
            for label in sets[stream]:
                file.write(msgspec.json.encode(label) + b"\n")
    return path


def make_set(name: str, found: Iterable[tuple[int, int, str, float]], source: str) -> list[Label]:
    """Labels of (start_ns, end_ns, label, score), in order and numbered."""
    return [
        Label(
            stream=f"{KIND}/{name}",
            seq=seq,
            t_capture_ns=start_ns,
            t_publish_ns=end_ns,
            label=label,
            t_until_ns=end_ns,
            source=source,
            score=score,
        )
        for seq, (start_ns, end_ns, label, score) in enumerate(sorted(found))
    ]


def _sets(labels: Iterable[Label]) -> Sets:
    sets: Sets = {}
    for label in sorted(labels, key=lambda x: (x.t_capture_ns, x.seq)):
        sets.setdefault(label.stream, []).append(label)
    return sets
