"""Scores agree with what can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from engines.output import ReconstructOutput
from pipeline.evaluation import score
from pipeline.evaluation.caption_score import caption_scores, key_word_recall, key_words
from pipeline.evaluation.condition import ALL, Condition, Findings
from pipeline.evaluation.panel import Answer
from pipeline.evaluation.relation import rebuilt


def test_precision_recall_and_f1_of_each_class() -> None:
    truth, found = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 0, 1])
    matrix = score.confusion(truth, found, 4)
    assert matrix.tolist() == [[2, 1, 0, 0], [1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    classes = score.by_class(matrix, "abcd")
    assert classes["a"] == pytest.approx(
        {"precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3, "windows": 3}
    )
    assert classes["b"] == pytest.approx(
        {"precision": 1 / 3, "recall": 0.5, "f1": 0.4, "windows": 2}
    )
    assert classes["c"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "windows": 1}
    assert score.macro(classes)["recall"] == pytest.approx((2 / 3 + 0.5 + 0) / 3)


def test_calibration_error_over_fifteen_equal_bins() -> None:
    confidence = np.array([0.9, 0.92, 0.5, 1.0])
    right = np.array([True, False, True, True])
    # Two lie in the bin up to 14/15, one in that around 0.5, one in the last.
    wanted = (2 * abs(0.91 - 0.5) + abs(0.5 - 1.0) + 0.0) / 4
    assert score.expected_calibration_error(confidence, right) == pytest.approx(wanted)
    assert [n for _, _, n in score.calibration(confidence, right)] == [1, 2, 1]
    assert score.expected_calibration_error(np.zeros(0), np.zeros(0, bool)) == 0.0


def test_average_precision_counts_ties_as_one_step() -> None:
    relevant = np.array([True, False, True, False])
    assert score.average_precision(np.array([4.0, 3.0, 2.0, 1.0]), relevant) == pytest.approx(
        (1 / 1 + 2 / 3) / 2
    )
    assert score.average_precision(np.ones(4), relevant) == pytest.approx(0.5)
    assert score.average_precision(np.ones(4), np.ones(4, bool)) is None


def test_ranks_count_what_is_nearer_than_the_own_key() -> None:
    keys = np.eye(3, dtype=np.float32)
    assert score.ranks(keys, keys).tolist() == [0, 0, 0]
    assert score.ranks(keys[[1, 0, 2]], keys).tolist() == [2, 2, 0]
    # If all keys are one, nothing is found.
    assert score.ranks(keys, np.ones((3, 3), np.float32)).tolist() == [2, 2, 2]


def test_key_words_of_a_caption() -> None:
    assert key_words("A man is in the kitchen, at 3.") == {"man", "kitchen", "3"}
    assert key_word_recall(["a man cooks", ""], ["the man sleeps", "the"]) == 0.5


def test_captions_are_scored_by_the_library() -> None:
    pytest.importorskip("sacrebleu", reason="needs the extra: evaluate")
    truth = ["a man cooks in the kitchen", "the alarm rings in the hall"]
    assert caption_scores(truth, truth) == pytest.approx(
        {"key_words": 1.0, "all_key_words": 1.0, "bleu": 100.0, "chrf": 100.0}
    )
    worse = caption_scores(["a man sleeps in the kitchen", "the hall"], truth)
    assert 0 < worse["bleu"] < 90
    assert worse["all_key_words"] == 0.0


def test_what_is_rebuilt_is_explained_seen_and_unseen() -> None:
    head, hidden = ReconstructOutput(of="image", shape=(2,)), Condition("missing", ("image",))
    found = Findings()
    for n, form in enumerate(([0.0, 1.0], [2.0, 3.0])):
        truth = np.array(form, np.float32)
        found.small.append({"image": truth})
        found.add(ALL, n, Answer({"picture": truth}, 0.0))
        found.add(hidden, n, Answer({"picture": np.array([1.0, 2.0], np.float32)}, 0.0))
    found.small.append({})  # a window without a picture tells nothing
    found.add(ALL, 2, Answer({"picture": np.array([9.0, 9.0], np.float32)}, 0.0))
    assert rebuilt("picture", head, found) == {
        "windows": 2,
        "explained_variance": 1.0,
        "imagined": 0.0,
    }
