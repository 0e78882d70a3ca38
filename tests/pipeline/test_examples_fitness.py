"""Data that nothing can be learned from is told before anything is learned."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from engines.example import Example
from engines.plan import Model
from pipeline.learning.error import LearningError
from pipeline.learning.fitness import check
from pipeline.learning.window_folder import About, Windows, WindowWriter


def plan(**heads: dict[str, object]) -> Model:
    readings = {"names": ["a"], "window": 2}
    return msgspec.convert({"text": {"length": 4}, "readings": readings, "head": heads}, Model)


def windows(folder: Path, *rows: tuple[str, dict[str, tuple[str, ...]]]) -> Windows:
    """Rows of (modalities by their first letter, what the label sets say)."""
    with WindowWriter(folder, plan(truth={"kind": "classify"}).specs()) as writer:
        for number, (present, targets) in enumerate(rows):
            inputs = {}
            if "t" in present:
                inputs["text"] = np.zeros((1, 4), np.int32)
            if "r" in present:
                inputs["readings"] = np.zeros((1, 2, 1), np.float32)
            made = Example(inputs=inputs, ages_s=dict.fromkeys(inputs, 0.0), targets=targets)
            writer.write(number, made)
    return Windows([folder])


def say(label: str) -> dict[str, tuple[str, ...]]:
    return {"truth": (label,)}


def test_sound_data_are_counted(tmp_path: Path) -> None:
    found = windows(tmp_path, *[("tr", say("a"))] * 6, *[("t", say("b"))] * 2)
    notes = check(found, plan(head={"kind": "classify"}), [About(windows=8, empty=1)])
    assert notes == [
        "8 windows: text in 100%, readings in 75%",
        "1 labelled ticks left out: no stream had anything",
        "[model.head.head]: a 6, b 2",
        "[model.head.head]: few windows of b (2)",
    ]


@pytest.mark.parametrize(
    ("rows", "heads", "told"),
    [
        ([], {"x": {"kind": "classify"}}, "no window has a label and an input; s: 3 samples left"),
        ([("t", say("a"))], {"x": {"kind": "match"}}, r"\[model.readings\]: not one of 1 windows"),
        ([("tr", say("a"))] * 3, {"x": {"kind": "classify"}}, "all 3 windows say 'a'"),
        ([("tr", say("a"))], {"x": {"kind": "detect", "labels": "who"}}, "of the set 'who'"),
        (
            [("tr", say("a")), ("tr", say("b"))],
            {"x": {"kind": "classify", "classes": ["b"]}},
            "'a' too",
        ),
        (
            [("tr", say("1")), ("tr", say("x"))],
            {"x": {"kind": "regress", "labels": "truth"}},
            "two",
        ),
        (
            [("t", say("a")), ("r", say("b"))],
            {"x": {"kind": "retrieve"}},
            "two modalities to relate",
        ),
    ],
)
def test_what_cannot_be_learned_is_refused(
    tmp_path: Path,
    rows: list[tuple[str, dict[str, tuple[str, ...]]]],
    heads: dict[str, dict[str, object]],
    told: str,
) -> None:
    about = About(refused={"s": (3, "why")})
    with pytest.raises(LearningError, match=told):
        check(windows(tmp_path, *rows), plan(**heads), [about])


def test_labels_that_are_no_numbers_are_counted_and_forgotten(tmp_path: Path) -> None:
    labels = ("1.5", "nan", "2", "warm")
    found = windows(tmp_path, *[("tr", say(label)) for label in labels])
    notes = check(found, plan(x={"kind": "regress", "labels": "truth"}), [About()])
    assert "2 windows left out: their label is no number" in notes[-1]
    assert [window.targets for window in found] == [say("1.5"), {}, say("2"), {}]
