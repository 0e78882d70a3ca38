"""A log as films, sound and tables that any program opens: `sensorium export --format media`.

A folder gets one film with subtitles a camera, a WAV file a microphone, and a CSV table of each
stream of texts, readings, predictions and labels. All count from the log's beginning.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pipeline.exchange.beginning import beginning_ns
from pipeline.exchange.draft import draft
from pipeline.exchange.film_out import FORMATS, FilmOut
from pipeline.exchange.incoming import NS_PER_S, ExchangeError
from pipeline.exchange.table_out import Out, SubtitleOut, TableOut
from pipeline.exchange.wave_out import WaveOut
from pipeline.label.store import Sets, all_labels
from pipeline.log.reader import LogReader
from pipeline.progress import progress
from pipeline.sample import AudioChunk, Frame
from pipeline.stream import kind_of

FILM_SUFFIX = ".mp4"
TABLES = ("text", "readings", "prediction")


def export_media(log_file: Path, out: Path) -> dict[str, Any]:
    """Write a folder, or one film if `out` is named so. Returns what `--json` prints.

    Raises ExchangeError, LogError.
    """
    with LogReader(log_file) as log:
        one_film = out.suffix.lower() in FORMATS
        with draft(out) as path, ExitStack() as drafts:
            if one_film:
                camera, texts = _only_camera(log), _first(log, "text")
                beside = [drafts.enter_context(draft(out.with_suffix(".srt"))) for _ in texts]
                outs = _one_film(log, camera, path, beside)
            else:
                path.mkdir()
                _label_tables(all_labels(log_file), beginning_ns(log), path)
                outs = _folder(log, path)
            found = _write(log, outs)
    return {"file": str(out), **found}


def _one_film(log: LogReader, camera: str, path: Path, beside: list[Path]) -> Iterator[Out]:
    """A film, and its subtitles beside it."""
    yield _film(log, camera, path)
    for text, subtitles in zip(_first(log, "text"), beside, strict=True):
        yield SubtitleOut(subtitles, beginning_ns(log), text)


def _folder(log: LogReader, folder: Path) -> Iterator[Out]:
    """A file for each stream that has a form here."""
    zero_ns = beginning_ns(log)
    for stream in _with_samples(log):
        kind, path = kind_of(stream), folder / stream.replace("/", "-")
        if kind == "camera":
            yield _film(log, stream, path.with_name(path.name + FILM_SUFFIX))
            for text in _first(log, "text"):
                yield SubtitleOut(path.with_name(path.name + ".srt"), zero_ns, text)
        elif kind == "microphone":
            first = _first_sample(log, stream)
            if isinstance(first, AudioChunk):
                yield WaveOut(path.with_name(path.name + ".wav"), zero_ns, first)
        elif kind in TABLES:
            yield TableOut(path.with_name(path.name + ".csv"), zero_ns, stream)


def _label_tables(sets: Sets, zero_ns: int, folder: Path) -> None:
    """A table of each set of labels, also of those beside the log; `label set` reads it."""
    for stream, labels in sets.items():
        table = TableOut(folder / f"{stream.replace('/', '-')}.csv", zero_ns, stream)
        for label in labels:
            table.take(label)
        table.close()


def _film(log: LogReader, camera: str, path: Path) -> FilmOut:
    """A film of a camera and the first microphone."""
    picture = _first_sample(log, camera)
    if not isinstance(picture, Frame):
        raise ExchangeError(f"{camera}: holds no pictures")
    sounds = [_first_sample(log, stream) for stream in _first(log, "microphone")]
    sound = next((sample for sample in sounds if isinstance(sample, AudioChunk)), None)
    return FilmOut(path, beginning_ns(log), picture, sound)


def _write(log: LogReader, files: Iterator[Out]) -> dict[str, Any]:
    """Give every sample to every file, and close all. Returns the counts."""
    streams = [s for s in _with_samples(log) if kind_of(s) in ("camera", "microphone", *TABLES)]
    zero_ns = beginning_ns(log)
    end_ns = max((log.streams[s].last_publish_ns for s in streams), default=zero_ns)
    counts: Counter[str] = Counter()
    outs: list[Out] = []
    with ExitStack() as opened, progress("exporting", (end_ns - zero_ns) / NS_PER_S) as advance:
        for out in files:
            opened.callback(out.close)
            outs.append(out)
        for sample in log.samples(streams):
            for out in outs:
                out.take(sample)
            counts[sample.stream] += 1
            advance((sample.t_publish_ns - zero_ns) / NS_PER_S)
    left_out: Counter[str] = Counter()
    for out in outs:
        left_out.update(getattr(out, "left_out", {}))
    return {
        "seconds": round((end_ns - zero_ns) / NS_PER_S, 3),
        "streams": dict(sorted(counts.items())),
        "left_out": {what: n for what, n in sorted(left_out.items()) if n},
    }


def _only_camera(log: LogReader) -> str:
    cameras = [stream for stream in _with_samples(log) if kind_of(stream) == "camera"]
    if len(cameras) != 1:
        said = ", ".join(cameras) or "none"
        raise ExchangeError(f"one film holds one camera, the log has {said}: give -o a folder")
    return cameras[0]


def _first(log: LogReader, kind: str) -> list[str]:
    """The first stream of a kind, or none."""
    return [stream for stream in _with_samples(log) if kind_of(stream) == kind][:1]


def _with_samples(log: LogReader) -> list[str]:
    return [stream for stream, line in log.streams.items() if line.n_messages]


def _first_sample(log: LogReader, stream: str) -> Any:
    return next(log.samples([stream]), None)
