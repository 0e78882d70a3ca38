"""A folder with a manifest CSV: one item after the other on a time line.

The columns camera and microphone name files, text holds the text itself. Every other column
becomes labels of its name ("label" becomes label/truth), which `export` writes back.

An item's sound is heard from the item's beginning; picture and text come at its end, so that a
tick there has all of the item, and nothing is old. The truth holds from the item's end for
HOLD_NS; other labels hold for the whole item. Behind each item there is a gap.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import structs

from pipeline.exchange import picture
from pipeline.exchange.film import TOLERANCE_NS, sound_blocks
from pipeline.exchange.incoming import (
    NS_PER_S,
    ExchangeError,
    Incoming,
    Options,
    imported,
    short_enough,
    stream_name,
)
from pipeline.exchange.sound import Block, chunks
from pipeline.sample import AudioChunk, Frame, Label, Sample, TextEvent

FILE_NAME = "manifest.csv"
MODALITIES = ("camera", "microphone", "text")
TRUTH = "label/truth"
LABEL_COLUMN = "label"
MAX_COLUMNS = 256
GRID_NS = 100_000_000  # items end on it, so that ticks of 10 Hz meet their ends
HOLD_NS = GRID_NS
MAX_SOUND_S = 600  # of an item, which is held in memory
# An encoder needs a whole window of sound; silence comes before shorter sound.
MIN_SOUND_NS = 1_200_000_000

Row = dict[str, str]


@dataclass(slots=True)
class _Clock:
    """Where on the time line the next item begins, and the number of each stream's next sample."""

    begin_ns: int
    seqs: Counter[str]


def open_manifest(path: Path, options: Options) -> Incoming:
    """The items of a manifest. Raises ExchangeError, for its form at once."""
    rows = _read(path)
    left_out: Counter[str] = Counter()
    name = options.name or stream_name(path.resolve().parent.name)
    streams = [f"{kind}/{name}" for kind in MODALITIES if any(row.get(kind) for row in rows)]
    return Incoming(
        header=imported(streams),
        streams=[_items(path, rows, replace(options, name=name), left_out)],
        left_out=left_out,
    )


def _read(path: Path) -> list[Row]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file, strict=True)
            _check_columns(path, list(table.fieldnames or []))
            rows = list(table)
    except OSError as error:
        raise ExchangeError(f"{path}: cannot be read: {error.strerror}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise ExchangeError(f"{path}: is no CSV in UTF-8: {error}") from error
    if not rows:
        raise ExchangeError(f"{path}: holds no items, only the names of its columns")
    for number, row in enumerate(rows, start=1):
        if None in row or None in row.values():
            raise ExchangeError(f"{path}: item {number} has more or fewer cells than the columns")
    return rows


def _check_columns(path: Path, columns: list[str]) -> None:
    if not columns:
        raise ExchangeError(f"{path}: is empty")
    if not set(columns) & set(MODALITIES):
        raise ExchangeError(
            f"{path}: has none of the columns {', '.join(MODALITIES)}, only {', '.join(columns)}"
        )
    names = [_label_stream(column) for column in columns]
    if len(set(names)) < len(names) or len(columns) > MAX_COLUMNS:
        raise ExchangeError(f"{path}: has two columns of one name, or more than {MAX_COLUMNS}")


def _items(
    path: Path, rows: list[Row], options: Options, left_out: Counter[str]
) -> Iterator[Sample]:
    clock = _Clock(0, Counter())
    for number, row in enumerate(rows, start=1):
        where = f"{path}: item {number}"
        made = _item(where, row, path.parent, options, left_out)
        if not made:
            left_out["items without picture, sound and text"] += 1
            continue
        for sample in sorted(made, key=lambda sample: (sample.t_publish_ns, sample.stream)):
            stream = sample.stream.replace("/*", f"/{options.name}")
            yield _moved(sample, stream, clock)
            clock.seqs[stream] += 1
        end_ns = max(sample.t_publish_ns for sample in made)
        clock.begin_ns += _on_grid(end_ns + round(options.gap_s * NS_PER_S))


def _item(
    where: str, row: Row, folder: Path, options: Options, left_out: Counter[str]
) -> list[Sample]:
    """The samples of one item that begins at time 0, with seq 0 and the name *; none, if empty."""
    sound: list[AudioChunk] = []
    begin_ns = 0
    if row.get("microphone"):
        file = _file(where, folder, row["microphone"])
        begin_ns, sound = _sound(file, options.sample_rate_hz, left_out)
    end_ns = max(GRID_NS, _on_grid(sound[-1].t_publish_ns if sound else 0))
    made: list[Sample] = [*sound]
    at: dict[str, Any] = {"seq": 0, "t_capture_ns": end_ns, "t_publish_ns": end_ns}
    if row.get("camera"):
        pixels = picture.read(_file(where, folder, row["camera"]))
        made.append(Frame(stream="camera/*", pixels=pixels, **at))
    if text := row.get("text", "").strip():
        if not short_enough(text):
            raise ExchangeError(f"{where}: its text is too long")
        made.append(TextEvent(stream="text/*", text=text, **at))
    return made + _labels(row, begin_ns, end_ns) if made else []


def _sound(path: Path, rate_hz: int, left_out: Counter[str]) -> tuple[int, list[AudioChunk]]:
    """When the sound of a file begins, behind silence where it is short; and its chunks."""
    blocks: list[Block] = []
    for block in sound_blocks(path, left_out):
        blocks.append(block)
        if block.t_ns > MAX_SOUND_S * NS_PER_S:
            raise ExchangeError(f"{path}: an item lasts {MAX_SOUND_S} s at most")
    if not blocks:
        raise ExchangeError(f"{path}: holds no sound that can be decoded")
    length_ns = sum(len(b.wave) * NS_PER_S // b.rate_hz for b in blocks)
    first = blocks[0].rate_hz
    n_silent = max(0, (MIN_SOUND_NS - length_ns) * first // NS_PER_S)
    shift_ns = n_silent * NS_PER_S // first - blocks[0].t_ns
    silence = Block(t_ns=0, rate_hz=first, wave=np.zeros(n_silent, np.float32))
    moved = [Block(t_ns=b.t_ns + shift_ns, rate_hz=b.rate_hz, wave=b.wave) for b in blocks]
    cut = chunks(
        [silence, *moved],
        stream="microphone/*",
        to_hz=rate_hz,
        tolerance_ns=TOLERANCE_NS,
        left_out=left_out,
    )
    return moved[0].t_ns, list(cut)


def _labels(row: Row, begin_ns: int, end_ns: int) -> list[Sample]:
    made: list[Sample] = []
    for column, label in row.items():
        if column in MODALITIES or not label:
            continue
        stream = _label_stream(column)
        made.append(
            Label(
                stream=stream,
                seq=0,
                t_capture_ns=end_ns if stream == TRUTH else begin_ns,
                t_publish_ns=end_ns + HOLD_NS,
                label=label,
                t_until_ns=end_ns + HOLD_NS,
            )
        )
    return made


def _label_stream(column: str) -> str:
    return TRUTH if column == LABEL_COLUMN else f"label/{stream_name(column)}"


def _moved(sample: Sample, stream: str, clock: _Clock) -> Sample:
    """The sample at its place on the time line."""
    changes = {
        "stream": stream,
        "seq": clock.seqs[stream],
        "t_capture_ns": sample.t_capture_ns + clock.begin_ns,
        "t_publish_ns": sample.t_publish_ns + clock.begin_ns,
    }
    if isinstance(sample, Label):
        changes["t_until_ns"] = sample.t_until_ns + clock.begin_ns
    return structs.replace(sample, **changes)


def _file(where: str, folder: Path, name: str) -> Path:
    path = folder / name
    if not path.is_file():
        raise ExchangeError(f"{where}: there is no file {path}")
    return path


def _on_grid(t_ns: int) -> int:
    return -(-t_ns // GRID_NS) * GRID_NS
