"""The keys of recording: what is refused, and what is recorded in which form."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.error import ConfigError
from pipeline.loader import check
from pipeline.record import plan
from pipeline.record.clock import ClockPair
from tests.pipeline.home import CAMERA, MICROPHONE, READINGS, TEXT, config

NONE = [
    f"{stream.replace('/', '.')}.record=none" for stream in (CAMERA, MICROPHONE, TEXT, READINGS)
]
PAIR = ClockPair(0, 0)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("microphone.room.record=jpeg", "microphone.room.record: jpeg is for cameras; take loss"),
        ("camera.room.record=raw", "camera.room.record: invalid enum value 'raw'"),
        ("record.compresion=lz4", "unknown key `record.compresion`; did you mean `record.compr"),
        ("record.compression=gzip", "record.compression: invalid enum value 'gzip'"),
        ("record.segment_s=0", "record.segment_s: expected `float` > 0.0"),
        ("record.budget_mb=5", "record.budget_mb: whole segments are deleted; set record.segment"),
        ("incident.before_s=3", "incident.directory: is missing; set it to a folder"),
        ("incident.score=1.5", "incident.score: expected `float` <= 1.0"),
    ],
)
def test_a_wrong_key_is_named(override: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        config(override)
    assert message in str(raised.value)


def test_a_deadline_that_is_not_set_cannot_be_missed() -> None:
    table = {
        "name": "x",
        "text": {"a": {"source": "stdin"}},
        "incident": {"directory": "/tmp", "missed_deadline": True},
    }
    with pytest.raises(ConfigError, match=r"incident.missed_deadline: needs fusion.deadline_ms"):
        check(table, "x")


def test_a_budget_holds_at_least_two_segments() -> None:
    assert config("record.budget_mb=10", "record.segment_mb=5").record.budget_mb == 10
    with pytest.raises(ConfigError, match=r"record.budget_mb"):
        config("record.budget_mb=9", "record.segment_mb=5")


def test_only_streams_with_a_form_are_recorded_and_tokens_come_from_the_node() -> None:
    home = config("camera.room.record=tokens", "text.events.record=none")
    forms = plan.chosen_forms(home)
    assert forms == {CAMERA: "tokens", MICROPHONE: "lossless", READINGS: "lossless"}
    table = plan.table_of(home, forms)
    healths = {f"health/{process}" for process in ("node", CAMERA, MICROPHONE, TEXT, READINGS)}
    recorded = {"prediction/demo", f"tokens/{CAMERA}", MICROPHONE, READINGS}
    assert set(table) == healths | recorded
    assert table[f"health/{TEXT}"][0] == home.endpoint(TEXT)
    assert table[f"tokens/{CAMERA}"][0] == home.predictions_endpoint
    assert {line.policy for _, line in table.values()} == {"queue"}


def test_streams_can_be_chosen_and_predictions_alone_must_be_asked_for() -> None:
    assert plan.chosen_forms(config(), [CAMERA]) == {CAMERA: "lossless"}
    assert plan.chosen_forms(config(*NONE), ["predictions"]) == {}
    with pytest.raises(ConfigError, match=r'^nothing to record: every stream has record = "none";'):
        plan.chosen_forms(config(*NONE))
    with pytest.raises(ConfigError, match=r"--streams: no stream `camera/rom`; did you mean"):
        plan.chosen_forms(config(), ["camera/rom"])
    with pytest.raises(
        ConfigError, match=f'--streams: {CAMERA} has record = "none"; set, say, cam'
    ):
        plan.chosen_forms(config("camera.room.record=none"), [CAMERA])


def test_what_cannot_begin_is_said_before_the_run(tmp_path: Path) -> None:
    plan.check_start(config(), PAIR)
    plan.check_start(config(f"record.file={tmp_path}/x.mcap"), PAIR)
    with pytest.raises(ConfigError, match=r"record.file: .*/none is no folder"):
        plan.check_start(config(f"record.file={tmp_path}/none/x.mcap"), PAIR)
    with pytest.raises(ConfigError, match=r"incident.directory: .*/none is no folder"):
        plan.check(config(f"incident.directory={tmp_path}/none"))
    with pytest.raises(ConfigError, match=r"no label `smoke`; did you mean `smoke_alarm`"):
        plan.check(config(f"incident.directory={tmp_path}", "incident.label=smoke"))
    with pytest.raises(ConfigError, match=r"nothing to record"):
        plan.check(config(f"incident.directory={tmp_path}", *NONE))


def test_the_header_names_the_bundle_and_holds_the_one_pair() -> None:
    header = plan.header_of(config(), ClockPair(5, 7_000), "recorded")
    assert (header.monotonic_ns, header.wall_ns, header.origin) == (5, 7_000, "recorded")
    assert len(header.bundle_sha256) == 64
    assert '"name":"demo"' in header.config
