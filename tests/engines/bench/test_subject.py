"""A graph of a bundle, or an encoder with random weights, runs on every backend that is there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engines.bench.contender import REFERENCE, contenders
from engines.bench.subject import of_bundle, of_encoders
from engines.bundle import load_bundle
from engines.error import EngineError


def test_every_graph_of_a_bundle_runs_and_who_is_missing_says_why() -> None:
    subjects = {subject.name: subject for subject in of_bundle(load_bundle("home"))}
    assert subjects.keys() >= {"image", "audio", "text", "readings", "fusion"}
    for subject in (subjects["readings"], subjects["fusion"]):
        with contenders(subject.path, subject.feeds) as (calls, missing):
            assert REFERENCE in calls
            assert not calls.keys() & missing.keys()
            wanted = calls[REFERENCE]()
            for call in calls.values():
                assert call().keys() == wanted.keys()
            assert all("\n" not in why for why in missing.values())


@pytest.mark.slow
def test_an_encoder_is_the_same_in_torch(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs the extra: train")
    [subject] = of_encoders(["readings/mlp"], tmp_path, 96, compiled=False)
    with contenders(subject.path, subject.feeds) as (calls, _):
        assert list(subject.calls) == ["torch eager"]
        difference = subject.calls["torch eager"]() - calls[REFERENCE]()["tokens"]
        assert np.abs(difference).max() < 1e-4


def test_an_unknown_encoder_is_told_with_those_there_are(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs the extra: train")
    with pytest.raises(EngineError, match=r"'image/eye': choose of .*image/resnet50"):
        list(of_encoders(["image/eye"], tmp_path, 96, compiled=False))
