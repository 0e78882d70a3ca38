"""`sensorium trace`: where the time of each prediction in a log went, to be opened in Perfetto.

Each sensor is a process with a track of what it published; the node has, for each stream, a track
a stage, and the tracks of its ticks. Arrows follow each sample from its sensor into the first
prediction that used it, and on into this process, where that listens to a run. A stage of two
pieces, such as a queue before and after the alignment of a tick, is drawn as one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import TypeAlias

import msgspec

from pipeline.error import SensoriumError
from pipeline.latency.track import Place, TraceEvent, Tracks
from pipeline.prediction import Prediction, named
from pipeline.replay.part import Part
from pipeline.sample import AudioChunk, Frame, Reading, Sample, TextEvent

NODE, READER = "node", "reader"
IN_ORDER = ("arrive", "queue", "preprocess", "encode", "tick_wait")
DRAWN = (Prediction, Frame, AudioChunk, TextEvent, Reading)
MAX_KNOWN = 20_000  # samples that a later prediction may still use
Key: TypeAlias = "tuple[str, int, int]"  # stream, number, end of capture


class Trace:
    """Takes the samples of a log in order, and draws them."""

    def __init__(self, start_ns: int) -> None:
        self.tracks = Tracks(start_ns)
        self._sent: dict[Key, Place] = {}
        self._held_until_ns: dict[Key, int] = {}
        self._n_arrows = 0

    def add(self, sample: Sample, came_ns: int | None = None) -> None:
        """Draw a prediction, or what a sensor published; and when a prediction came to us."""
        if isinstance(sample, Prediction):
            self._predict(sample, came_ns)
        else:
            self._send(sample.stream, sample.seq, sample.t_end_ns, sample.t_publish_ns)

    def _send(self, stream: str, seq: int, end_ns: int, publish_ns: int) -> Place:
        """The sensor's part of a sample, once."""
        key = (stream, seq, end_ns)
        if key not in self._sent:
            span_ns = (end_ns, max(end_ns, publish_ns))
            self._sent[key] = self.tracks.slice((stream, "publish"), f"{stream} {seq}", span_ns)
            _forget(self._sent)
        return self._sent[key]

    def _predict(self, prediction: Prediction, came_ns: int | None) -> None:
        stages = {s: named(found) for s, found in prediction.stages_ns.items()}
        places, fused = {}, self._fuse(prediction, stages)
        end = [fused] if fused else []
        if came_ns is not None:
            name, span_ns = f"prediction {prediction.seq}", (prediction.t_publish_ns, came_ns)
            end.append(self.tracks.slice((READER, "receive"), name, span_ns))
        for stream, found in stages.items():
            places[stream] = self._bring(prediction, stream, found)
        for stream, (is_new, path) in places.items():
            if is_new and fused:
                self._n_arrows += 1
                self.tracks.arrow(stream, self._n_arrows, [*path, *end])

    def _fuse(self, prediction: Prediction, stages: dict[str, dict[str, int]]) -> Place | None:
        """The part of the tick that is the same for all streams."""
        one = next(iter(stages.values()), None)
        if one is None:
            return None  # nothing was alive: there is no stage
        fused_ns = prediction.t_emit_ns - one["emit"]
        fuse_ns = fused_ns - one["fuse"]
        name = f"prediction {prediction.seq}"
        args = {"top": prediction.top, "missing": prediction.missing}
        place = self.tracks.slice((NODE, "fuse"), name, (fuse_ns, fused_ns), **args)
        self.tracks.slice((NODE, "emit"), name, (fused_ns, prediction.t_emit_ns))
        return place

    def _bring(
        self, prediction: Prediction, stream: str, stages: dict[str, int]
    ) -> tuple[bool, list[Place]]:
        """A stream's way to the fusion; whether this prediction is the first to use the sample."""
        seq = prediction.inputs[stream][-1][0]
        end_ns = prediction.tick_ns - prediction.ages_ns[stream]
        key, name = (stream, seq, end_ns), f"{stream} {seq}"
        fuse_ns = prediction.t_emit_ns - stages["emit"] - stages["fuse"]
        if (held_ns := self._held_until_ns.get(key)) is not None:  # encoded for an earlier one
            self.tracks.slice((NODE, f"{stream} tick_wait"), name, (held_ns, max(held_ns, fuse_ns)))
            self._held_until_ns[key] = max(held_ns, fuse_ns)
            return False, []
        path, t_ns = [self._send(stream, seq, end_ns, end_ns + stages["publish"])], end_ns
        t_ns += max(0, stages["publish"])
        for stage in IN_ORDER:
            span_ns = (t_ns, t_ns + max(0, stages[stage]))
            place = self.tracks.slice((NODE, f"{stream} {stage}"), name, span_ns)
            path += [place] if stage in ("arrive", "encode") else []
            t_ns = span_ns[1]
        if align := stages.get("align"):
            self.tracks.slice((NODE, f"{stream} align"), name, (t_ns, t_ns + align))
        self._held_until_ns[key] = fuse_ns
        _forget(self._held_until_ns)
        return True, path


def _forget(known: dict[Key, Place] | dict[Key, int]) -> None:
    while len(known) > MAX_KNOWN:
        del known[next(iter(known))]


def trace_events(part: Part) -> Iterator[TraceEvent]:
    """The events of a part of a log, one after another. Raises SensoriumError without any."""
    if not any(stream.startswith("prediction/") for stream in part.streams):
        raise SensoriumError("the log holds no predictions: record them, and trace that log")
    trace = Trace(part.start_ns)
    for sample in part.samples(part.streams):
        if isinstance(sample, DRAWN):
            trace.add(sample)
        yield from trace.tracks.take()


def write_trace(path: Path, events: Iterable[TraceEvent]) -> int:
    """Write the file; returns how many events it holds. Raises SensoriumError."""
    n, encode = 0, msgspec.json.encode
    events = iter(events)
    first = next(events, None)
    try:
        with path.open("wb") as file:
            file.write(b'{"displayTimeUnit":"ms","traceEvents":[\n')
            for event in chain([first] if first else [], events):
                file.write((b",\n" if n else b"") + encode(event))
                n += 1
            file.write(b"\n]}\n")
    except OSError as error:
        raise SensoriumError(f"{path}: cannot be written: {error.strerror}") from error
    return n
