"""A log replayed into the node: equal to the live run, to itself, and blind to the clock."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from pipeline.config import Config
from pipeline.log.form import LogError
from pipeline.log.reader import LogReader
from pipeline.node import FusionNode
from pipeline.prediction import Prediction
from pipeline.replay import report
from pipeline.replay.part import Choice, Part, ReplayError
from pipeline.replay.virtual import Step, VirtualReplay, WindowMode
from pipeline.sample import Tokens
from tests.pipeline.home import CAMERA, MICROPHONE, READINGS, TEXT, TICK_NS, config, model
from tests.pipeline.live_log import START_NS, live, live_log, published, write_log

STREAMS = (CAMERA, MICROPHONE, TEXT, READINGS)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("log") / "live.mcap"
    live_log(made, config(), delay_ns=60_000_000)
    return made


def steps(
    path: Path, choice: Choice | None = None, mode: WindowMode | None = None, *overrides: str
) -> list[Step]:
    with LogReader(path) as log:
        part = Part(log, choice or Choice())
        return list(VirtualReplay(config(*overrides), model(), part, mode).run())


def result(
    path: Path, used: Config | None = None, mode: WindowMode | None = None, **choice: Any
) -> dict[str, Any]:
    with LogReader(path) as log:
        part = Part(log, Choice(**choice))
        run = VirtualReplay(used or config(), model(), part, mode)
        return report.follow(run, part)


def test_replay_of_recorded_windows_is_the_live_run(path: Path) -> None:
    made = steps(path)
    assert len(made) == 60
    for step in made:
        assert step.recorded is not None
        assert step.prediction.canonical() == step.recorded.canonical()
    found = result(path)
    assert found["windows"] == "recorded"
    assert found["predictions"] == found["differences"]["compared"] == 60
    assert found["differences"]["inputs"] == found["differences"]["scores"] == 0
    assert found["differences"]["max_score"] <= 1e-5
    assert found["lacking"] == {}
    assert found["speed"] > 1


def test_two_replays_are_identical_and_a_change_of_a_score_is_not(path: Path) -> None:
    first, again, other = result(path), result(path), result(path, streams=(CAMERA, TEXT))
    assert first["predictions_sha256"] == again["predictions_sha256"]
    assert first["predictions_sha256"] != other["predictions_sha256"]


def test_what_live_had_late_is_found_where_windows_are_aligned(path: Path) -> None:
    recorded, aligned = result(path), result(path, mode="aligned")
    share = recorded["realigned"]["share"]
    assert 0 < share < 0.5
    assert aligned["realigned"] == recorded["realigned"]
    assert aligned["differences"]["inputs"] > 0
    assert aligned["predictions"] == recorded["predictions"]


def test_aligned_windows_hold_what_was_published_by_the_tick(path: Path) -> None:
    """The node that gets everything at once, in the order of the log, says the same."""
    node = FusionNode(config(), model())
    expected = [p.canonical() for p in play_from(node, path)]
    found = [step.prediction.canonical() for step in steps(path, None, "aligned")]
    assert found == expected


def play_from(node: FusionNode, path: Path) -> list[Prediction]:
    predictions, tick_ns = [], START_NS + TICK_NS
    with LogReader(path) as log:
        for sample in log.samples(STREAMS):
            while sample.t_publish_ns > tick_ns:
                predictions.append(node.tick(tick_ns))
                tick_ns += TICK_NS
            node.accept(sample, 0)
    return predictions


def test_a_log_without_predictions_ticks_as_a_live_node_does(tmp_path: Path) -> None:
    path = tmp_path / "bare.mcap"
    write_log(path, published(3, 3.0), config())
    found = [step.prediction for step in steps(path)]
    expected = play_from(FusionNode(config(), model()), path)
    assert [p.canonical() for p in found] == [p.canonical() for p in expected]
    assert [p.tick_ns for p in found] == [START_NS + n * TICK_NS for n in range(1, len(found) + 1)]
    with pytest.raises(ReplayError, match="no predictions: replay it with --windows aligned"):
        steps(path, None, "recorded")


def test_the_clock_stream_ticks_and_the_period_while_it_is_silent(tmp_path: Path) -> None:
    path, samples = tmp_path / "clock.mcap", published(3, 3.0)
    second_ns = START_NS + 1_000_000_000
    kept = [s for s in samples if s.stream != CAMERA or s.t_publish_ns < second_ns]
    write_log(path, kept, config())
    clock = f"fusion.clock={CAMERA}"
    ticks = [s.prediction.tick_ns for s in steps(path, None, None, clock, "fusion.tick_hz=10")]
    camera = [s.t_publish_ns for s in kept if s.stream == CAMERA]
    assert ticks[: len(camera)] == camera
    rest = ticks[len(camera) :]
    assert rest[0] - camera[-1] >= 400_000_000  # its max_age_ms
    assert all(tick_ns % TICK_NS == 0 for tick_ns in rest)


def test_the_clocks_of_the_machine_change_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = result(path)["predictions_sha256"]
    backwards = count(10**18, -(10**9)).__next__
    for clock in ("time_ns", "monotonic_ns", "time"):
        monkeypatch.setattr(f"time.{clock}", backwards)
    assert result(path)["predictions_sha256"] == expected


def test_a_replay_from_the_middle_is_that_part_of_the_whole(path: Path) -> None:
    modes: tuple[WindowMode, ...] = ("recorded", "aligned")
    for mode in modes:
        whole = {s.prediction.tick_ns: s.prediction.canonical() for s in steps(path, None, mode)}
        part = steps(path, Choice(start_s=2.345, duration_s=1.5), mode)
        assert len(part) == 15
        assert part[0].prediction.tick_ns == START_NS + 24 * TICK_NS
        for step in part:
            assert step.prediction.canonical() == whole[step.prediction.tick_ns]


def test_only_the_chosen_streams_are_replayed(path: Path) -> None:
    found = steps(path, Choice(streams=(CAMERA, TEXT)))
    assert all(step.prediction.missing[-1] == READINGS for step in found)
    assert found[-1].prediction.inputs.keys() == {CAMERA, TEXT}
    with pytest.raises(ReplayError, match="no stream 'camera/rom'; did you mean 'camera/room'"):
        steps(path, Choice(streams=("camera/rom",)))


def test_a_part_behind_the_end_is_an_error(path: Path) -> None:
    with pytest.raises(ReplayError, match=r"--start 60: the log ends after 6\.\d+ s"):
        steps(path, Choice(start_s=60))


def test_a_publisher_that_starts_anew_is_told_apart_by_its_times(tmp_path: Path) -> None:
    """Late samples of the first one are used after the second has begun to count from zero."""
    first = published(5, 2.0)
    second = [
        replace(s, t_capture_ns=s.t_capture_ns + 10**7, t_publish_ns=s.t_publish_ns + 10**7)
        for s in published(5, 2.0, START_NS + 2_000_000_000)
    ]
    path, samples = tmp_path / "anew.mcap", [*first, *second]
    node = FusionNode(config(), model())
    said = list(live(samples, config(), node, 80_000_000))
    write_log(path, [*samples, *said], config())
    found = result(path)
    assert found["differences"]["inputs"] == found["differences"]["scores"] == 0
    assert found["predictions"] > 35


def test_tokens_stand_for_what_nobody_recorded(tmp_path: Path) -> None:
    path = tmp_path / "tokens.mcap"
    kept = config(*(f"{s.replace('/', '.')}.record=tokens" for s in (CAMERA, MICROPHONE, READINGS)))
    expected = live_log(path, kept)
    with LogReader(path) as log:
        assert {s for s in log.streams if s.startswith("tokens/")} == {
            f"tokens/{s}" for s in (CAMERA, MICROPHONE, READINGS)
        }
        assert not {CAMERA, MICROPHONE, READINGS} & log.streams.keys()
        tokens = [s for s in log.samples() if isinstance(s, Tokens) and s.of == CAMERA]
    assert len(tokens) == len({t.t_capture_ns for t in tokens}) <= len(expected)
    found = [step.prediction for step in steps(path)]
    assert [p.canonical() for p in found] == [p.canonical() for p in expected]
    assert [p.ages_ns for p in found] == [p.ages_ns for p in expected]
    with pytest.raises(ReplayError, match="camera/room was recorded as tokens"):
        steps(path, None, "aligned")


def test_samples_that_the_log_lacks_are_told(tmp_path: Path) -> None:
    path = tmp_path / "lacking.mcap"
    live_log(path, config(f"{CAMERA.replace('/', '.')}.record=none"))
    found = result(path)
    assert found["lacking"][CAMERA] > 50
    assert found["differences"]["inputs"] > 50
    assert f"windows of {CAMERA} are not whole in the log" in report.text(found)


def test_a_damaged_log_is_one_clear_line(path: Path, tmp_path: Path) -> None:
    data, cut, flipped = path.read_bytes(), tmp_path / "cut.mcap", tmp_path / "flipped.mcap"
    cut.write_bytes(data[: len(data) // 2])
    with pytest.raises(LogError, match=r"cut\.mcap is cut off .*run `sensorium repair"):
        steps(cut)
    flipped.write_bytes(data[:500_000] + bytes([data[500_000] ^ 1]) + data[500_001:])
    with pytest.raises(LogError, match=r"flipped\.mcap is damaged"):
        steps(flipped)
