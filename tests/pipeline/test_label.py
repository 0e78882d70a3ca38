"""Labels: from tables, truth and predictions; beside a log, merged into one, split in time."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from pipeline.cli import main
from pipeline.error import SensoriumError
from pipeline.label import predicted, store, truth
from pipeline.label.store import all_labels, labels_of, make_set, write_beside
from pipeline.log.form import LogHeader
from pipeline.log.writer import LogWriter
from pipeline.prediction import Prediction
from pipeline.sample import Frame, Label, TextEvent
from tests.pipeline.logged import read

S = 1_000_000_000
ZERO_NS = 7 * S  # of the log's first capture


def make_log(path: Path, *, seconds: int = 10, tops: str = "") -> Path:
    """A log of texts, one JPEG, and at 10 Hz a prediction of each letter of `tops`."""
    with LogWriter(path, LogHeader(monotonic_ns=0, wall_ns=5 * S)) as log:
        for n in range(seconds):
            at = {"seq": n, "t_capture_ns": ZERO_NS + n * S, "t_publish_ns": ZERO_NS + n * S}
            log.write(TextEvent(stream="text/a", text=str(n), **at))  # type: ignore[arg-type]
        draw = np.random.default_rng(1).integers(0, 256, (16, 16, 3), np.uint8)
        frame = Frame(
            stream="camera/a", seq=0, t_capture_ns=ZERO_NS, t_publish_ns=ZERO_NS, pixels=draw
        )
        log.write(frame, "jpeg")
        for n, top in enumerate(tops):
            log.write(prediction(n, top))
        log.note("ledger", {"kept": "yes"})
    return path


def prediction(n: int, top: str) -> Prediction:
    """One that is sure of a lower-case letter, and not of an upper-case one."""
    tick_ns = ZERO_NS + n * S // 10
    score = 0.95 if top.islower() else 0.5
    return Prediction(
        stream="prediction/a",
        seq=n,
        t_capture_ns=tick_ns,
        t_publish_ns=tick_ns,
        outputs={"situation": {top.lower(): score, "other": 0.05}},
        inputs={},
        ages_ns={},
        missing=[],
        weights={},
        backend={},
    )


def spans(labels: list[Label]) -> list[tuple[float, float, str]]:
    """(start, end, label), in seconds of the log."""
    return [((x.t_capture_ns - ZERO_NS) / S, (x.t_until_ns - ZERO_NS) / S, x.label) for x in labels]


def test_a_table_sets_labels_beside_the_log(tmp_path: Path) -> None:
    log, table = make_log(tmp_path / "x.mcap"), tmp_path / "t.csv"
    table.write_text("label,start_s,end_s,by\nnap,1.5,2,me\nfall,0,0.000000001,me\n", "utf-8")
    assert main(["label", "set", str(log), "--csv", str(table)]) == 0

    assert spans(labels_of(log)) == [(0, 1e-9, "fall"), (1.5, 2, "nap")]
    assert labels_of(log, "other") == []
    assert {path.name for path in tmp_path.iterdir()} == {
        "x.mcap",
        "x.mcap.labels.jsonl",
        "t.csv",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("start,end_s,label\n", "has no column start_s, only start, end_s, label"),
        ("start_s,end_s,label\n", "holds no labels"),
        ("start_s,end_s,label\n1,x,a\n", "row 1: 'x' is no number of seconds"),
        ("start_s,end_s,label\n1,nan,a\n", "row 1: 'nan' is no number of seconds"),
        ("start_s,end_s,label\n2,2,a\n", "row 1: ends at 2 s, not after"),
        ("start_s,end_s,label\n1,2,\n", "row 1: its label is empty"),
        ("start_s,end_s,label\n1\n", "row 1: its label is empty"),
        ('start_s,end_s,label\n"1\n', "is no CSV"),
    ],
)
def test_bad_tables_change_nothing(
    text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, table = make_log(tmp_path / "x.mcap"), tmp_path / "t.csv"
    table.write_text(text, "utf-8")

    assert main(["label", "set", str(log), "--csv", str(table)]) == 2
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1
    assert not store.beside(log).exists()


def test_truth_is_cut_at_its_edges() -> None:
    def hidden(t_ns: int) -> str | None:
        scene, into_ns = divmod(t_ns, 6 * S)
        return "ab"[scene % 2] if into_ns > 1.5 * S else None

    found = list(truth.intervals(hidden, 4 * S, 20 * S))

    edge = round(1.5 * S) + 1
    assert [(start, end, label) for start, end, label, _ in found] == [
        (4 * S, 6 * S, "a"),
        (6 * S + edge, 12 * S, "b"),
        (12 * S + edge, 18 * S, "a"),
        (18 * S + edge, 20 * S, "b"),
    ]


def test_only_a_simulated_home_has_a_truth(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = make_log(tmp_path / "x.mcap")

    assert main(["label", "set", str(log), "--truth"]) == 2
    assert "only a log of the simulated home knows its truth" in capsys.readouterr().err


def test_the_truth_of_a_recorded_demo(tmp_path: Path) -> None:
    from deploy.simulated_home import demo_config, truths
    from deploy.simulated_home import truth as truth_of

    config = demo_config(["simulator.seed=5"])
    encoded = json.dumps(msgspec.to_builtins(config))
    header = LogHeader(monotonic_ns=0, wall_ns=0, config=encoded)
    with LogWriter(tmp_path / "x.mcap", header) as log:
        for n in range(31):
            event = TextEvent(
                stream="text/a", seq=n, t_capture_ns=n * S, t_publish_ns=n * S, text=""
            )
            log.write(event)
    assert main(["label", "set", str(tmp_path / "x.mcap"), "--truth"]) == 0

    hidden, found = truth_of(config), labels_of(tmp_path / "x.mcap")
    assert 5 <= len(found) <= 6
    for t_ns in range(0, 30 * S, S // 7):
        held = [x.label for x in found if x.t_capture_ns <= t_ns < x.t_until_ns]
        assert held == [label for label in [hidden(t_ns)] if label]

    sets = all_labels(tmp_path / "x.mcap")
    known = truths(config)(15 * S)
    assert known is not None and set(sets) == {f"label/{name}" for name in known}
    for name, labels in known.items():
        spans = sets[f"label/{name}"]
        held = [x.label for x in spans if x.t_capture_ns <= 15 * S < x.t_until_ns]
        assert sorted(held) == sorted(labels)


def test_sure_predictions_become_intervals(tmp_path: Path) -> None:
    log = make_log(tmp_path / "x.mcap", tops="aaAaabbBBBBBBBbCa")
    assert main(["label", "set", str(log), "--predictions", "--above", "0.9"]) == 0

    labels = labels_of(log, "predicted")
    expected = [(0.0, 0.2, "a"), (0.3, 0.5, "a"), (0.5, 0.7, "b"), (1.4, 1.5, "b"), (1.6, 1.7, "a")]
    assert spans(labels) == expected
    assert {x.source for x in labels} == {"predicted"}
    assert all(x.score == pytest.approx(0.95) for x in labels)


def test_ticks_that_were_skipped_do_not_part_neighbours() -> None:
    made = [prediction(n, "a") for n in (0, 1, 3, 4, 20)]
    found = [(start, end) for start, end, _, _ in predicted.intervals(made, 0.9)]

    tenth = S // 10
    assert found == [
        (ZERO_NS, ZERO_NS + 5 * tenth),
        (ZERO_NS + 20 * tenth, ZERO_NS + 21 * tenth),
    ]


def test_merged_labels_stand_in_the_log_and_the_rest_is_as_it_was(tmp_path: Path) -> None:
    log = make_log(tmp_path / "x.mcap", tops="aab")
    first = make_set("truth", [(ZERO_NS, ZERO_NS + S, "a", 1.0)], "truth")
    other = make_set("other", [(ZERO_NS, ZERO_NS + 2 * S, "b", 0.5)], "me")
    write_beside(log, {"label/truth": first, "label/other": other})
    assert main(["label", "merge", str(log), "-o", str(tmp_path / "y.mcap")]) == 0

    old, new = read(log), read(tmp_path / "y.mcap")
    assert all_labels(tmp_path / "y.mcap") == {"label/truth": first, "label/other": other}
    kept = [s for s in new if not isinstance(s, Label)]
    for before, after in zip(old, kept, strict=True):
        if isinstance(before, Frame) and isinstance(after, Frame):
            assert np.array_equal(before.pixels, after.pixels)
        else:
            assert before == after
    write_beside(tmp_path / "y.mcap", {"label/truth": []})
    second = make_set("truth", [(ZERO_NS, ZERO_NS + 3 * S, "c", 1.0)], "truth")
    write_beside(tmp_path / "y.mcap", {"label/truth": second})
    assert labels_of(tmp_path / "y.mcap") == second
    assert main(["label", "merge", str(tmp_path / "y.mcap"), "-o", str(tmp_path / "z.mcap")]) == 0
    assert all_labels(tmp_path / "z.mcap") == {"label/truth": second, "label/other": other}


def test_list_shows_all_sets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = make_log(tmp_path / "x.mcap")
    made = make_set("truth", [(ZERO_NS + S, ZERO_NS + 2 * S, "a", 1.0)], "me")
    write_beside(log, {"label/truth": made})
    assert main(["label", "list", str(log), "--json"]) == 0

    row = {"start_s": 1.0, "end_s": 2.0, "label": "a", "source": "me", "score": 1.0}
    assert json.loads(capsys.readouterr().out)["sets"] == {"truth": [row]}


def test_damaged_labels_are_told(tmp_path: Path) -> None:
    log = make_log(tmp_path / "x.mcap")
    store.beside(log).write_text('{"label": 1}\n', "utf-8")

    with pytest.raises(SensoriumError, match="line 1 is no label"):
        labels_of(log)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["split"], "are 1 blocks of 30 s, too few for 3 parts"),
        (["merge", "-o", "new.mcap"], "holds no labels to merge"),
        (["set", "--predictions"], "the log holds no predictions"),
    ],
)
def test_what_cannot_be_done_is_told(
    flags: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = make_log(tmp_path / "x.mcap")

    assert main(["label", flags[0], str(log), *flags[1:]]) == 2
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1
