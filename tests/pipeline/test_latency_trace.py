"""A trace is what Perfetto and Chrome read: the form of each event, slices, arrows."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
import pytest
from msgspec import Meta, Struct

from pipeline import cli
from pipeline.latency.trace import Trace, write_trace
from pipeline.latency.track import Tracks
from pipeline.node import FusionNode
from pipeline.prediction import Prediction, named
from tests.pipeline.home import CAMERA, MICROPHONE, READINGS, TEXT, config, model
from tests.pipeline.live_log import START_NS, arrivals, published, write_log

STREAMS = (CAMERA, MICROPHONE, TEXT, READINGS)
Count: TypeAlias = Annotated[int, Meta(ge=0)]
Us: TypeAlias = Annotated[float, Meta(ge=0)]


class Name(Struct, tag_field="ph", tag="M", forbid_unknown_fields=True):
    """The format's metadata event, with the two of its names that are used here."""

    name: Literal["process_name", "thread_name"]
    pid: Count
    tid: Count
    args: dict[Literal["name"], str]


class Slice(Struct, tag_field="ph", tag="X", forbid_unknown_fields=True):
    """A complete event."""

    name: str
    cat: str
    pid: Count
    tid: Count
    ts: Us
    dur: Us
    args: dict[str, Any]

    @property
    def end(self) -> float:
        return self.ts + self.dur


class Start(Struct, tag_field="ph", tag="s", forbid_unknown_fields=True):
    name: str
    cat: str
    id: Count
    pid: Count
    tid: Count
    ts: Us


class Step(Start, tag_field="ph", tag="t", forbid_unknown_fields=True):
    pass


class End(Start, tag_field="ph", tag="f", forbid_unknown_fields=True):
    bp: Literal["e"]  # bound to the slice around it, not to the next


class TraceFile(Struct, forbid_unknown_fields=True):
    displayTimeUnit: Literal["ms", "ns"]  # noqa: N815 - the format's name
    traceEvents: list[Name | Slice | Start | Step | End]  # noqa: N815


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Prediction]]:
    """The log of a run in virtual time, whose camera was not recorded."""
    path = tmp_path_factory.mktemp("trace") / "run.mcap"
    samples, clock = published(5, 4.0), Clock()
    node, predictions = FusionNode(config(), model(), stopwatch=clock), []
    for t_ns, _, sample in arrivals(samples, 20_000_000):
        clock.now_ns = max(clock.now_ns, t_ns)
        if sample is None:
            predictions.append(node.tick(t_ns))
        else:
            node.accept(sample, clock.now_ns)
    kept = [sample for sample in samples if sample.stream != CAMERA]
    write_log(path, [*kept, *predictions], config())
    return path, predictions


class Clock:
    """Every reading of it takes a while."""

    now_ns = START_NS

    def __call__(self) -> int:
        self.now_ns += 50_000
        return self.now_ns


def traced(path: Path, folder: Path, *arguments: str) -> TraceFile:
    out = folder / "trace.json"
    assert cli.main(["trace", str(path), "-o", str(out), *arguments]) == 0
    return msgspec.json.decode(out.read_bytes(), type=TraceFile)


@pytest.fixture(scope="module")
def trace(
    recorded: tuple[Path, list[Prediction]], tmp_path_factory: pytest.TempPathFactory
) -> TraceFile:
    """Decoding checks every event against the format."""
    return traced(recorded[0], tmp_path_factory.mktemp("out"))


def slices(trace: TraceFile) -> dict[tuple[int, int], list[Slice]]:
    tracks: dict[tuple[int, int], list[Slice]] = defaultdict(list)
    for event in trace.traceEvents:
        if isinstance(event, Slice):
            tracks[event.pid, event.tid].append(event)
    return tracks


def names(trace: TraceFile, what: str) -> dict[tuple[int, int], str]:
    found = [e for e in trace.traceEvents if isinstance(e, Name) and e.name == what]
    return {(e.pid, e.tid): e.args["name"] for e in found}


def test_processes_and_tracks_have_names(trace: TraceFile) -> None:
    processes = set(names(trace, "process_name").values())
    assert processes == {"node", *STREAMS}
    tracks = names(trace, "thread_name")
    assert {"publish", "fuse", "emit", f"{CAMERA} queue", f"{CAMERA} encode"} <= set(
        tracks.values()
    )
    assert set(slices(trace)) == set(tracks)


def test_slices_of_a_track_do_not_overlap(trace: TraceFile) -> None:
    for track in slices(trace).values():
        track.sort(key=lambda event: event.ts)
        for before, after in pairwise(track):
            assert before.end <= after.ts + 0.0015  # times are rounded to nanoseconds


def test_every_prediction_and_every_sample_is_there(
    trace: TraceFile, recorded: tuple[Path, list[Prediction]]
) -> None:
    found = [s for track in slices(trace).values() for s in track]
    used = {(s, p.inputs[s][-1][0]) for p in recorded[1] for s in p.inputs}
    assert sum(s.cat == "fuse" for s in found) == sum(bool(p.inputs) for p in recorded[1])
    sent = {s.name for s in found if s.cat == "publish"}
    assert {f"{stream} {seq}" for stream, seq in used} <= sent
    encoded = {s.name for s in found if s.cat.endswith(" encode")}
    assert encoded == {f"{stream} {seq}" for stream, seq in used}


def test_an_arrow_follows_each_used_sample_from_its_sensor_to_the_fusion(trace: TraceFile) -> None:
    arrows: dict[int, list[Start]] = defaultdict(list)
    for event in trace.traceEvents:
        if isinstance(event, Start):
            arrows[event.id].append(event)
    processes, tracks = names(trace, "process_name"), slices(trace)
    assert len(arrows) > 40
    for steps in arrows.values():
        assert [type(step) for step in steps] == [Start, Step, Step, End]
        assert [step.ts for step in steps] == sorted(step.ts for step in steps)
        assert processes[steps[0].pid, 0] == steps[0].name
        assert {processes[step.pid, 0] for step in steps[1:]} == {"node"}
        bound = [
            next(s for s in tracks[step.pid, step.tid] if s.ts <= step.ts <= s.end)
            for step in steps
        ]
        assert [s.cat.rpartition(" ")[2] for s in bound] == ["publish", "arrive", "encode", "fuse"]
        assert len({s.name for s in bound[:3]}) == 1


def test_an_arrow_goes_on_to_the_process_that_hears_the_prediction(
    recorded: tuple[Path, list[Prediction]], tmp_path: Path
) -> None:
    """Three processes: the sensor, the node, and whoever listens to the run."""
    drawn, events = Trace(START_NS), list[dict[str, Any]]()
    for prediction in recorded[1]:
        drawn.add(prediction, prediction.t_publish_ns + 300_000)
        events += drawn.tracks.take()
    write_trace(tmp_path / "t.json", events)
    trace = msgspec.json.decode((tmp_path / "t.json").read_bytes(), type=TraceFile)
    processes = names(trace, "process_name")
    of_camera: dict[int, list[str]] = defaultdict(list)
    for event in trace.traceEvents:
        if isinstance(event, Start) and event.name == CAMERA:
            of_camera[event.id].append(processes[event.pid, 0])
    assert len(of_camera) > 20
    for way in of_camera.values():
        assert way == [CAMERA, "node", "node", "node", "reader"]
    received = [s for track in slices(trace).values() for s in track if s.cat == "receive"]
    assert {s.dur for s in received} == {300.0}


def test_a_run_that_is_not_going_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    path = tmp_path / "hub.toml"
    path.write_text('name = "hub"\n[camera.a]\nsource = 0\n')
    assert cli.main(["trace", str(path), "-o", str(tmp_path / "t.json")]) == 2
    assert "nothing runs here" in capsys.readouterr().err
    assert not (tmp_path / "t.json").exists()


def test_what_began_before_the_trace_is_cut_off() -> None:
    tracks = Tracks(1_000_000)
    tracks.slice(("node", "queue"), "a", (0, 1_500_000))
    assert [(e["ts"], e["dur"]) for e in tracks.take() if e["ph"] == "X"] == [(0.0, 500.0)]


def test_stages_last_as_long_as_the_prediction_says(
    trace: TraceFile, recorded: tuple[Path, list[Prediction]]
) -> None:
    prediction = next(p for p in recorded[1] if CAMERA in p.inputs)
    seq = prediction.inputs[CAMERA][-1][0]
    found = {
        s.cat: s.dur
        for track in slices(trace).values()
        for s in track
        if s.name == f"{CAMERA} {seq}"
    }
    said = named(prediction.stages_ns[CAMERA])
    for stage in ("arrive", "preprocess", "encode", "align"):
        assert found[f"{CAMERA} {stage}"] == pytest.approx(max(0, said[stage]) / 1000, abs=0.002)


def test_a_part_of_a_log_makes_a_shorter_trace(
    recorded: tuple[Path, list[Prediction]], trace: TraceFile, tmp_path: Path
) -> None:
    part = traced(recorded[0], tmp_path, "--start", "1", "--duration", "1")
    assert 0 < len(part.traceEvents) < len(trace.traceEvents) / 2


def test_a_log_without_predictions_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "raw.mcap"
    write_log(path, published(5, 1.0), config())
    assert cli.main(["trace", str(path), "-o", str(tmp_path / "t.json")]) == 2
    assert "the log holds no predictions" in capsys.readouterr().err
    assert not (tmp_path / "t.json").exists()


def test_what_would_overlap_goes_to_a_lane_beside() -> None:
    tracks = Tracks(0)
    first = tracks.slice(("node", "queue"), "a", (0, 1000))
    beside = tracks.slice(("node", "queue"), "b", (500, 1500))
    after = tracks.slice(("node", "queue"), "c", (1000, 2000))
    assert first.tid == after.tid != beside.tid
    said = [event["args"]["name"] for event in tracks.take() if event["name"] == "thread_name"]
    assert said == ["queue", "queue (2)"]
