"""The last seconds in memory, and the files that triggers make of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.log.form import LogHeader
from pipeline.log.reader import LogReader
from pipeline.record.incident import IncidentRecorder
from pipeline.record.memory import Memory
from pipeline.record.writing import size_bytes
from tests.pipeline.home import config
from tests.pipeline.messages import HEADER, SECOND_NS, message

STEP_NS = SECOND_NS // 10
START_NS = 100 * SECOND_NS


def test_the_memory_keeps_its_span() -> None:
    memory = Memory(SECOND_NS, 10**9)
    for n in range(50):
        memory.add(message(n, n * STEP_NS), n * STEP_NS)
    assert [m.seq for m in memory.since(0)] == list(range(39, 50))
    assert [m.seq for m in memory.since(45 * STEP_NS)] == list(range(45, 50))
    assert memory.n_dropped == 0


def test_the_memory_keeps_its_bound_and_counts_what_it_costs() -> None:
    size = size_bytes(message(49, 49 * STEP_NS, 1000))
    memory = Memory(SECOND_NS, 5 * size + 10)
    for n in range(50):
        memory.add(message(n, n * STEP_NS, 1000), n * STEP_NS)
    assert [m.seq for m in memory.since(0)] == list(range(45, 50))
    assert memory.n_dropped == 6  # of the eleven of the last second
    memory.add(message(50, 50 * STEP_NS, 100_000), 50 * STEP_NS)
    assert memory.since(0) == []


def recorder(folder: Path, *overrides: str) -> IncidentRecorder:
    keys = [f"incident.directory={folder}", "incident.before_s=2", "incident.after_s=1"]
    return IncidentRecorder(config(*keys, *overrides), HEADER)


def play(incidents: IncidentRecorder, triggers: dict[int, str], n: int = 100) -> None:
    """A message each tenth of a second, and triggers behind some of them."""
    for seq in range(n):
        now_ns = START_NS + seq * STEP_NS
        incidents.add(message(seq, now_ns), now_ns)
        if seq in triggers:
            incidents.trigger(triggers[seq], now_ns)
        incidents.step(now_ns)
    incidents.close(20)


def seqs(path: Path) -> list[int]:
    with LogReader(path) as reader:
        return [sample.seq for sample in reader.samples()]


def notes(path: Path) -> dict[str, dict[str, str]]:
    with LogReader(path) as reader:
        return dict(reader.notes)


def test_a_trigger_writes_before_and_after_into_one_whole_file(tmp_path: Path) -> None:
    incidents = recorder(tmp_path)
    play(incidents, {50: "label smoke_alarm"})
    (path,) = tmp_path.iterdir()
    assert path.name == "demo-20260714T031825Z-label.mcap"
    assert seqs(path) == list(range(30, 61))
    found = notes(path)
    assert found["incident"] == {
        "why": "label smoke_alarm",
        "wall_ns": str(START_NS + 50 * STEP_NS + HEADER.wall_minus_monotonic_ns),
        "before_s": "2",
        "before_held_s": "2.000",
        "after_s": "1",
        "dropped.memory": "0",
    }
    assert found["incident.end"]["why"] == "label smoke_alarm"
    assert incidents.n_files == 1 and incidents.last_error == ""


def test_triggers_that_overlap_extend_the_incident_and_later_ones_begin_another(
    tmp_path: Path,
) -> None:
    play(recorder(tmp_path), {50: "manual", 58: "lost_sensor camera/room", 80: "manual"})
    first, second = sorted(tmp_path.iterdir())
    assert seqs(first) == list(range(30, 69))
    assert notes(first)["incident.end"]["why"] == "manual; lost_sensor camera/room"
    assert seqs(second) == list(range(60, 91))


def test_two_incidents_of_one_second_have_two_names(tmp_path: Path) -> None:
    play(recorder(tmp_path, "incident.after_s=0.2"), {50: "manual", 55: "manual"})
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["demo-20260714T031825Z-manual-1.mcap", "demo-20260714T031825Z-manual.mcap"]


def test_what_memory_did_not_hold_is_said_in_the_file(tmp_path: Path) -> None:
    size = size_bytes(message(50, START_NS + 50 * STEP_NS))
    play(recorder(tmp_path, f"incident.memory_mb={5.5 * size / 1e6}"), {50: "manual"})
    (path,) = tmp_path.iterdir()
    assert seqs(path) == list(range(46, 61))
    said = notes(path)["incident"]
    assert (said["dropped.memory"], said["before_held_s"]) == ("16", "0.400")


def test_an_incident_at_the_end_of_a_run_is_whole(tmp_path: Path) -> None:
    play(recorder(tmp_path), {98: "manual"})
    (path,) = tmp_path.iterdir()
    assert seqs(path) == list(range(78, 100))


def test_a_file_that_cannot_be_begun_costs_that_incident_only(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    incidents = recorder(folder)
    folder.rmdir()
    incidents.trigger("manual", START_NS)
    assert "cannot be written" in incidents.last_error
    folder.mkdir()
    play(incidents, {50: "manual"})
    assert len(list(folder.iterdir())) == 1


@pytest.mark.parametrize("hour", [-1, 1])
def test_only_the_one_clock_pair_dates_a_file(tmp_path: Path, hour: int) -> None:
    """Whatever the wall clock says by now: here it is an hour off, and nobody looks."""
    header = LogHeader(
        monotonic_ns=HEADER.monotonic_ns, wall_ns=HEADER.wall_ns + hour * 3600 * SECOND_NS
    )
    incidents = IncidentRecorder(config(f"incident.directory={tmp_path}"), header)
    play(incidents, {50: "manual"})
    (path,) = tmp_path.iterdir()
    with LogReader(path) as reader:
        assert reader.header == header
        times = [sample.t_publish_ns for sample in reader.samples()]
    assert times == [START_NS + n * STEP_NS for n in range(100)]


def test_the_oldest_incidents_of_this_name_make_room(tmp_path: Path) -> None:
    (tmp_path / "demo-attic-20200101T000000Z-manual.mcap").write_bytes(bytes(900_000))
    old = [tmp_path / f"demo-2020010{n}T000000Z-manual.mcap" for n in (1, 2, 3)]
    for path in old:
        path.write_bytes(bytes(400_000))
    incidents = recorder(tmp_path, "incident.budget_mb=0.9")
    play(incidents, {50: "manual"})
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert old[0].name not in kept
    assert {old[1].name, old[2].name, "demo-attic-20200101T000000Z-manual.mcap"} <= set(kept)
    assert len(kept) == 4
