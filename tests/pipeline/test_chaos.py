"""Plans of faults and what is made of them: parser, runs behind a plan, books, report, cable."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from pipeline.chaos.books import differences
from pipeline.chaos.cable import Cable
from pipeline.chaos.plan import APPLIES, Plan, load_plan
from pipeline.chaos.report import missed
from pipeline.chaos.schedule import Schedule, Span, write_schedule
from pipeline.chaos.topology import free_ports, hosts
from pipeline.config import Config
from pipeline.error import ConfigError
from tests.parts import free_port

SHORT = Path(__file__).parents[2] / "deploy" / "chaos" / "short.toml"
HOME = """
[config]
name = "hub"
camera.room.source = "simulator"
microphone.room = { source = "simulator", record = "lossless" }
"""


def fault(kind: str = "unplug", stream: str = "camera/room", **more: Any) -> str:
    keys = {"at_s": 1, "for_s": 0 if kind == "kill" else 2, **more}
    lines = "\n".join(f"{key} = {value}" for key, value in keys.items())
    return f'[[fault]]\nkind = "{kind}"\nstream = "{stream}"\n{lines}\n'


def loaded(folder: Path, text: str) -> tuple[Plan, Config]:
    path = folder / "plan.toml"
    path.write_text(text)
    return load_plan(path)


def test_the_short_plan_has_every_kind_of_fault() -> None:
    plan, config = load_plan(SHORT)
    assert {fault.kind for fault in plan.fault} == set(APPLIES)
    assert set(config.streams) >= {"camera/room", "microphone/room"}
    assert plan.length_s < 90


def test_a_plan_may_name_a_configuration_beside_it(tmp_path: Path) -> None:
    (tmp_path / "hub.toml").write_text('name = "hub"\n[camera.room]\nsource = "simulator"\n')
    plan, config = loaded(tmp_path, 'config = "hub.toml"\n' + fault())
    assert list(config.streams) == ["camera/room"]
    assert plan.fault[0].end_s == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fault = 3", "Expected `array`"),
        (HOME, "missing required field `fault`"),
        (HOME.replace("[config]", "fault = []\n[config]"), "no fault; add a table"),
        (fault(), "no run; set `config`"),
        (HOME + fault("unplugg"), "fault 1: kind: no fault `unplugg`; did you mean `unplug`"),
        (HOME + fault(stream="camera/rom"), "no sensor `camera/rom`; did you mean `camera/room`"),
        (HOME + fault("silence"), "silence is for microphone"),
        (HOME + fault("freeze", "node"), "freeze is for camera, microphone"),
        (HOME + fault(at_s=-1), r"`float` >= 0.0 - at `\$.fault\[0\].at_s`"),
        (HOME + fault(for_s=0), "for_s: how long it lasts"),
        (HOME + fault("kill", for_s=1), "only a kill is a moment"),
        (HOME + fault() + fault("freeze", at_s=2), "two faults on camera/room at 2 s"),
        (HOME + fault() + fault("network_cut", at_s=9), "camera/room has a network_cut"),
        (HOME + fault(colour=1), "unknown field `colour`"),
        (HOME.replace("source", "sauce") + fault(), "unknown key `camera.room.sauce`"),
    ],
)
def test_a_wrong_plan_is_refused_with_one_clear_line(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as found:
        loaded(tmp_path, text)
    assert str(found.value).startswith(str(tmp_path / "plan.toml"))
    assert "\n" not in str(found.value)


def test_a_plan_without_a_cut_is_one_run_that_speaks_to_nobody(tmp_path: Path) -> None:
    sinks = '[config.out]\njsonl = "-"\n[config.record]\nfile = "/nowhere/x.mcap"\n'
    hub, far, cables = hosts(*loaded(tmp_path, HOME + sinks + fault()), tmp_path)
    assert (far, cables) == (None, {})
    assert (hub.out.jsonl, hub.record.file) == ("", "")
    assert hub.directory == tmp_path / "hub"


def test_a_recorder_that_is_to_fail_records_into_the_folder(tmp_path: Path) -> None:
    hub, _, _ = hosts(*loaded(tmp_path, HOME + fault("full_disk", "recorder")), tmp_path)
    assert Path(hub.record.file).parent == tmp_path


def test_a_stream_whose_network_is_cut_comes_from_another_host(tmp_path: Path) -> None:
    plan = loaded(tmp_path, HOME + fault("network_cut", "microphone/room"))
    hub, far, cables = hosts(*plan, tmp_path)
    assert far is not None
    assert list(hub.streams) == ["camera/room", "microphone/room"]
    assert hub.streams["microphone/room"].is_remote
    assert list(far.sensors) == ["microphone/room"]
    (ports,) = cables.values()
    assert hub.streams["microphone/room"].endpoint == f"tcp://127.0.0.1:{min(ports)}"
    assert far.directory != hub.directory


def test_books_close_within_their_slack_only() -> None:
    captured, slack = {"camera/a": 100, "text/a": 5}, {"camera/a": 2, "text/a": 0}
    assert differences(captured, {"camera/a": 98, "text/a": 5}, slack) == {}
    found = differences(captured, {"camera/a": 97, "text/a": 6}, slack)
    assert found["camera/a"] == "100 captured, 97 accounted for"
    assert found["text/a"] == "5 captured, 6 accounted for"


def test_missed_ticks_are_those_between_two_predictions() -> None:
    ticks_ns = [0, 10, 20, 50, 60, 80]
    assert missed(ticks_ns, 10, 0, 100) == 3
    assert missed(ticks_ns, 10, 51, 59) == 0
    assert missed(ticks_ns, 10, 30, 40) == 2
    assert missed(ticks_ns, 0, 0, 100) == 0


def test_a_schedule_holds_for_its_stream_kind_and_time(tmp_path: Path) -> None:
    schedule = Schedule(tmp_path, "camera/a")
    assert schedule.at(5, ("black",)) is None
    span = Span(kind="black", stream="camera/a", begin_ns=5, end_ns=9)
    write_schedule(tmp_path, [Span(kind="black", stream="camera/b", begin_ns=0, end_ns=99), span])
    assert [schedule.at(t, ("black",)) for t in (4, 5, 8, 9)] == [None, span, span, None]
    assert schedule.at(5, ("freeze",)) is None


def test_a_cut_cable_lets_nothing_through_and_hangs_up_on_nobody() -> None:
    here, there = free_ports(), free_port()
    with socket.create_server(("127.0.0.1", there)) as server:
        cable = Cable({here: there})
        with socket.create_connection(("127.0.0.1", here), 5) as near:
            far, _ = server.accept()
            with far:
                near.sendall(b"one")
                assert far.recv(10) == b"one"
                cable.cut()
                far.settimeout(0.3)
                near.sendall(b"two")
                with pytest.raises(TimeoutError):
                    far.recv(10)
                cable.mend()
                far.settimeout(5)
                assert far.recv(10) == b"two"
                far.sendall(b"three")
                assert near.recv(10) == b"three"
        cable.close()
