"""A log as a folder of items, one a labelled interval: PNG, WAV and manifest.csv.

An item has the last picture captured in its interval, the sound of the interval, and its texts.
The form is the one that `import` reads. Of several cameras or microphones the first is taken.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.exchange.beginning import beginning_ns, sensor_streams
from pipeline.exchange.draft import draft
from pipeline.exchange.incoming import NS_PER_S, ExchangeError
from pipeline.exchange.manifest import FILE_NAME, LABEL_COLUMN, MODALITIES, TRUTH
from pipeline.exchange.wave_out import write_wave
from pipeline.label.store import all_labels
from pipeline.log.reader import LogReader
from pipeline.progress import progress
from pipeline.sample import AudioChunk, Frame, Int16Array, Label, Sample, TextEvent
from pipeline.stream import kind_of

ID_COLUMN = "id"
MAX_ITEM_S = 600.0
# Samples are published after they were captured; a sensor that is later than this is lost.
SLACK_NS = 2 * NS_PER_S


@dataclass(slots=True)
class _Item:
    """An interval, and what was seen, heard and said in it."""

    begin_ns: int
    end_ns: int
    cells: dict[str, str]
    frame: Frame | None = None
    sound: list[Int16Array] = field(default_factory=list)
    rate_hz: int = 0
    texts: list[str] = field(default_factory=list)

    def take(self, sample: Sample) -> None:
        match sample:
            case Frame() if self.begin_ns <= sample.t_capture_ns <= self.end_ns:
                self.frame = sample
            case TextEvent() if self.begin_ns <= sample.t_capture_ns <= self.end_ns:
                self.texts.append(sample.text)
            case AudioChunk():
                self._hear(sample)

    def _hear(self, chunk: AudioChunk) -> None:
        """Take the part of the chunk that lies in the interval, if it fits to what was heard."""
        first, last = (
            -((chunk.t_capture_ns - t_ns) * chunk.rate_hz // NS_PER_S)
            for t_ns in (self.begin_ns, self.end_ns)
        )
        pcm = chunk.pcm[max(0, first) : max(0, last)]
        if len(pcm) and (not self.sound or pcm.shape[1] == self.sound[0].shape[1]):
            self.sound.append(pcm.copy())
            self.rate_hz = self.rate_hz or chunk.rate_hz


def export_manifest(log_file: Path, out: Path, labels: str) -> dict[str, Any]:
    """Write the items of a set of labels into a new folder. Returns what `--json` prints.

    Raises ExchangeError, LogError.
    """
    sets = all_labels(log_file)
    with LogReader(log_file) as log, draft(out) as folder:
        items = _items(sets, labels, log_file)
        chosen = [next((s for s in sensor_streams(log) if kind_of(s) == k), "") for k in MODALITIES]
        taken = [stream for stream in chosen if stream]
        folder.mkdir()
        zero_ns = beginning_ns(log)
        counts = _write(folder, items, log.samples(taken) if taken else iter(()), zero_ns)
        others = set(sensor_streams(log)) - set(taken)
        return {
            "file": str(out),
            "seconds": round((items[-1].end_ns - items[0].begin_ns) / NS_PER_S, 3),
            "streams": dict(counts),
            "left_out": {f"samples of {s}": log.streams[s].n_messages for s in sorted(others)},
        }


def _items(sets: Mapping[str, Sequence[Label]], labels: str, log_file: Path) -> list[_Item]:
    """One item an interval, in order. Imported items are those that have an id."""
    main = sets.get(f"label/{labels}", [])
    if not main:
        raise ExchangeError(f"{log_file}: has no labels {labels!r}: see `sensorium label list`")
    spans = sets.get(f"label/{ID_COLUMN}", main)
    length_s = max(x.t_until_ns - x.t_capture_ns for x in spans) / 1e9
    if length_s > MAX_ITEM_S:
        raise ExchangeError(f"a label lasts {length_s:.0f} s: more than {MAX_ITEM_S:g} s an item")
    items: list[_Item] = []
    for n, span in enumerate(sorted(spans, key=lambda x: x.t_capture_ns)):
        cells = {ID_COLUMN: str(n), LABEL_COLUMN: ""}
        items.append(_Item(span.t_capture_ns, span.t_until_ns, cells))
    for stream, found in sets.items():
        column = LABEL_COLUMN if stream == f"label/{labels}" else stream.removeprefix("label/")
        if stream == TRUTH and labels != "truth":
            column = "truth"
        _fill(items, column, found)
    return items


def _fill(items: list[_Item], column: str, labels: Sequence[Label]) -> None:
    """Give each item the label that holds at its end: both are in order of their ends."""
    ordered = sorted(labels, key=lambda x: x.t_until_ns)
    at = 0
    for item in sorted(items, key=lambda item: item.end_ns):
        item.cells.setdefault(column, "")
        while at < len(ordered) and ordered[at].t_until_ns < item.end_ns:
            at += 1
        if at < len(ordered) and ordered[at].t_capture_ns < item.end_ns:
            item.cells[column] = ordered[at].label


def _write(
    folder: Path, items: list[_Item], samples: Iterator[Sample], zero_ns: int
) -> Counter[str]:
    counts: Counter[str] = Counter(items=0)
    own = set(MODALITIES) | {ID_COLUMN, LABEL_COLUMN}
    further = [c for c in dict.fromkeys(c for i in items for c in i.cells) if c not in own]
    columns = [ID_COLUMN, *MODALITIES, LABEL_COLUMN, *further]
    with (
        (folder / FILE_NAME).open("w", encoding="utf-8", newline="") as file,
        progress("exporting", (items[-1].end_ns - zero_ns) / NS_PER_S) as advance,
    ):
        rows = csv.DictWriter(file, columns, restval="")
        rows.writeheader()
        for n, item in enumerate(_complete(items, samples)):
            cells = _files(folder, f"{n:05d}", item)
            rows.writerow({**item.cells, **cells})
            counts.update(items=1, **{name: 1 for name, cell in cells.items() if cell})
            advance((item.end_ns - zero_ns) / NS_PER_S)
    return counts


def _complete(items: list[_Item], samples: Iterator[Sample]) -> Iterator[_Item]:
    """The items in order of their beginning, each with all of its samples."""
    waiting, open_items = iter(items), list[_Item]()
    coming = next(waiting, None)
    for sample in samples:
        while coming and coming.begin_ns <= sample.t_end_ns:
            open_items.append(coming)
            coming = next(waiting, None)
        while open_items and open_items[0].end_ns + SLACK_NS < sample.t_publish_ns:
            yield open_items.pop(0)
        for item in open_items:
            item.take(sample)
        if not open_items and coming is None:
            return
    yield from open_items
    if coming:
        yield coming
    yield from waiting


def _files(folder: Path, name: str, item: _Item) -> dict[str, str]:
    """Write picture and sound; the cells that name them."""
    cells = {"camera": "", "microphone": "", "text": " ".join(item.texts)}
    if item.frame is not None:
        cells["camera"] = f"{name}.png"
        _write_png(folder / cells["camera"], item.frame)
    if item.sound:
        cells["microphone"] = f"{name}.wav"
        write_wave(folder / cells["microphone"], np.concatenate(item.sound), item.rate_hz)
    return cells


def _write_png(path: Path, frame: Frame) -> None:
    import cv2

    bgr = frame.pixels if frame.order == "bgr" else frame.pixels[..., ::-1]
    encoded, data = cv2.imencode(".png", np.ascontiguousarray(bgr))
    if not encoded:
        raise ExchangeError(f"{frame.stream}: a picture that has no PNG form")
    path.write_bytes(data.tobytes())
