"""What heads will say is drawn up from examples, or the examples are refused with the reason."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from engines.draft import draft_outputs
from engines.error import EngineError
from engines.example import Example
from engines.output import CaptionOutput, ClassifyOutput, RegressOutput
from engines.plan import Caption, Classify, HeadPlan, ImagePlan, Model, Regress


def drafted(head: HeadPlan, *targets: Mapping[str, tuple[str, ...]]) -> object:
    plan = Model(image=ImagePlan(), head={"it": head})
    return draft_outputs(plan, [Example(inputs={}, ages_s={}, targets=x) for x in targets])["it"]


def test_the_classes_are_those_of_the_examples_or_those_of_the_plan() -> None:
    targets: list[Mapping[str, tuple[str, ...]]] = [
        {"truth": ("b",)},
        {"truth": ("c", "a")},
        {},
        {"mood": ("x",)},
    ]
    assert drafted(Classify(), *targets) == ClassifyOutput(labels=("a", "b"))
    given = Classify(classes=("b", "never", "a"))
    assert drafted(given, *targets) == ClassifyOutput(labels=("b", "never", "a"))


def test_a_vocabulary_begins_with_what_is_said_most() -> None:
    found = drafted(Caption(), {"caption": ("A dog runs",)}, {"caption": ("a Cat",)})
    assert isinstance(found, CaptionOutput)
    assert found.vocabulary == ("a", "cat", "dog", "runs")
    assert found.file == "it.onnx"


def test_numbers_have_a_mean_and_a_spread() -> None:
    found = drafted(Regress(labels="t", unit="K"), {"t": ("1",)}, {"t": ("9", "3")})
    assert found == RegressOutput(name="t", unit="K", mean=2.0, spread=1.0)
    same = drafted(Regress(labels="t"), {"t": ("5",)})
    assert isinstance(same, RegressOutput)
    assert same.spread == 1.0


@pytest.mark.parametrize(
    ("head", "targets", "message"),
    [
        (Classify(), {}, "head it: label set 'truth' is in no example"),
        (Classify(), {"truth": ("a",)}, "has one label only, 'a'"),
        (Classify(classes=("b", "c")), {"truth": ("a",)}, "has 'a', which is none of: b, c"),
        (Caption(), {"truth": ("a",)}, "head it: no example has a caption in label set 'caption'"),
        (Regress(labels="t"), {"t": ("warm",)}, "label 'warm': it is no number"),
        (Regress(labels="t"), {"t": ("nan",)}, "label 'nan': it is no number"),
        (Regress(labels="t"), {}, "head it: no example has a number"),
    ],
)
def test_examples_that_say_too_little_are_refused(
    head: HeadPlan, targets: Mapping[str, tuple[str, ...]], message: str
) -> None:
    with pytest.raises(EngineError, match=message):
        drafted(head, targets)
