"""Each trigger fires as its condition comes true, once, and on nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.prediction import Prediction
from pipeline.record.trigger import Triggers
from tests.pipeline.home import CAMERA, config
from tests.pipeline.messages import SECOND_NS, health, prediction

QUIET, SMOKE = {"quiet": 0.9, "smoke_alarm": 0.1}, {"quiet": 0.2, "smoke_alarm": 0.8}
TICK_NS = SECOND_NS // 10


def triggers(*overrides: str) -> Triggers:
    return Triggers(config("incident.directory=/tmp", *(f"incident.{o}" for o in overrides)))


def fired(found: Triggers, predictions: Sequence[Prediction]) -> list[list[str]]:
    return [list(found.predicted(p)) for p in predictions]


def test_nothing_fires_that_was_not_asked_for() -> None:
    found = triggers()
    late = prediction(0, SMOKE, missing=[CAMERA], took_ms=999)
    assert fired(found, [late, late]) == [[], []]
    assert list(found.watched({CAMERA: health(CAMERA, 0, "lost")}, 10 * SECOND_NS)) == []


def test_a_label_fires_when_its_score_is_reached_and_again_only_after_it_fell() -> None:
    found = triggers("label=smoke_alarm", "score=0.8")
    series = [QUIET, SMOKE, SMOKE, QUIET, SMOKE]
    smoke = ["label smoke_alarm"]
    assert fired(found, [prediction(0, s) for s in series]) == [[], smoke, [], [], smoke]


def test_several_labels_fire_each() -> None:
    found = triggers('label=["quiet", "smoke_alarm"]', "score=0.8")
    assert fired(found, [prediction(0, s) for s in (QUIET, SMOKE)]) == [
        ["label quiet"],
        ["label smoke_alarm"],
    ]


def test_disagreement_is_a_second_of_doubt_with_nothing_missing() -> None:
    doubt = {"quiet": 0.5, "smoke_alarm": 0.5}
    ticks = range(0, 2 * SECOND_NS, TICK_NS)
    found = fired(triggers("disagreement=0.6"), [prediction(t, doubt) for t in ticks])
    assert [n for n, why in enumerate(found) if why] == [10]
    assert found[10] == ["disagreement"]


def test_doubt_is_no_disagreement_if_it_is_short_or_something_is_missing() -> None:
    doubt = {"quiet": 0.5, "smoke_alarm": 0.5}
    ticks = range(0, 4 * SECOND_NS, TICK_NS)
    short = [prediction(t, doubt if t // TICK_NS % 10 else QUIET) for t in ticks]
    assert not any(fired(triggers("disagreement=0.6"), short))
    deaf = [prediction(t, doubt, missing=[CAMERA]) for t in ticks]
    assert not any(fired(triggers("disagreement=0.6"), deaf))


def test_a_deadline_counts_from_the_tick() -> None:
    found = triggers("missed_deadline=true")  # of 50 ms, in the demo
    took_ms = [1.0, 50.0, 51.0, 60.0, 1.0, 70.0]
    late = fired(found, [prediction(0, QUIET, took_ms=ms) for ms in took_ms])
    assert [bool(why) for why in late] == [False, False, True, False, False, True]


def test_a_deadline_counts_from_the_clocks_sample() -> None:
    home = config(
        "incident.directory=/tmp", "incident.missed_deadline=true", f"fusion.clock={CAMERA}"
    )
    ages_ns = {CAMERA: 45_000_000}
    found = Triggers(home)
    assert list(found.predicted(prediction(SECOND_NS, QUIET, took_ms=4, ages_ns=ages_ns))) == []
    assert list(found.predicted(prediction(SECOND_NS, QUIET, took_ms=6, ages_ns=ages_ns)))


def test_a_sensor_is_lost_with_its_device() -> None:
    found, now_ns = triggers("lost_sensor=true"), 5 * SECOND_NS
    states = ["starting", "running", "lost", "lost", "running", "lost"]
    why = [list(found.watched({CAMERA: health(CAMERA, now_ns, s)}, now_ns)) for s in states]
    assert [bool(w) for w in why] == [False, False, True, False, False, True]
    assert why[2] == [f"lost_sensor {CAMERA}"]


def test_a_sensor_is_lost_with_its_process() -> None:
    found, now_ns = triggers("lost_sensor=true"), 5 * SECOND_NS
    for pid, lost in ((1, False), (2, True), (2, False)):
        healths = {CAMERA: health(CAMERA, now_ns, pid=pid)}
        assert bool(list(found.watched(healths, now_ns))) is lost


def test_a_silent_sensor_is_lost() -> None:
    found, running = triggers("lost_sensor=true"), {CAMERA: health(CAMERA, 0)}
    assert not list(found.watched(running, 2 * SECOND_NS))
    assert list(found.watched(running, 4 * SECOND_NS))


def test_a_sensor_that_was_muted_or_has_ended_is_not_lost() -> None:
    for state in ("stopped", "ended"):
        found = triggers("lost_sensor=true")
        assert not list(found.watched({CAMERA: health(CAMERA, 0, state)}, 9 * SECOND_NS))
        started = health(CAMERA, 9 * SECOND_NS, "starting", pid=2)
        assert not list(found.watched({CAMERA: started}, 9 * SECOND_NS))
