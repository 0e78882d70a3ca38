"""Ten seconds of the simulated home against stored predictions.

`pytest tests/pipeline/test_golden.py --update-golden` writes them anew, after a change of the
bundle or the simulator that is meant.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.node import FusionNode
from pipeline.replay.golden import difference, first_difference, read_golden, write_golden
from tests.pipeline.home import config, model, play, recording

GOLDEN = Path(__file__).parent / "golden.jsonl"


def test_the_home_is_understood_as_it_was(request: pytest.FixtureRequest) -> None:
    node = FusionNode(config(), model(), stopwatch=lambda: 0)
    found = play(node, recording(seed=5, duration_s=10))
    if request.config.getoption("--update-golden"):
        write_golden(GOLDEN, found)
    assert difference(read_golden(GOLDEN), (p.canonical() for p in found)) is None


def test_the_first_difference_is_told_readably() -> None:
    before = {"tick_ns": 5, "outputs": {"situation": {"quiet": 0.5}}, "inputs": {"a": [[1, 2]]}}
    assert first_difference(before, before) is None
    near = {**before, "outputs": {"situation": {"quiet": 0.5004}}}
    assert first_difference(before, near) is None
    far = {**before, "outputs": {"situation": {"quiet": 0.75}}}
    assert (
        first_difference(before, far, "prediction 3")
        == "prediction 3.outputs.situation.quiet: 0.500000 expected, 0.750000 found"
    )
    other = {**before, "inputs": {"a": [(7, 2)]}}
    assert first_difference(before, other) == ".inputs.a.0.0: 1 expected, 7 found"
    assert first_difference(before, {**before, "inputs": {"a": []}}) == (
        ".inputs.a: 1 entries expected, 0 found"
    )
