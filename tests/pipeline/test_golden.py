"""Ten seconds of the simulated home against stored predictions.

`pytest tests/pipeline/test_golden.py --update-golden` writes them anew, after a change of the
bundle or the simulator that is meant.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline.node import FusionNode
from tests.pipeline.home import config, model, play, recording

GOLDEN = Path(__file__).parent / "golden.jsonl"
TOLERANCE = 1e-3  # of a score or a weight: other CPUs round otherwise


def first_difference(expected: Any, found: Any, at: str = "") -> str | None:
    """Where and how two canonical predictions differ first, or None."""
    if isinstance(expected, dict) and isinstance(found, dict):
        if expected.keys() != found.keys():
            return f"{at}: keys {sorted(expected)} expected, {sorted(found)} found"
        pairs = [(key, expected[key], found[key]) for key in expected]
    elif isinstance(expected, list) and isinstance(found, list | tuple):
        if len(expected) != len(found):
            return f"{at}: {len(expected)} entries expected, {len(found)} found"
        pairs = [(str(n), e, f) for n, (e, f) in enumerate(zip(expected, found, strict=True))]
    elif isinstance(expected, float) and isinstance(found, float):
        near = abs(expected - found) <= TOLERANCE
        return None if near else f"{at}: {expected:.6f} expected, {found:.6f} found"
    else:
        return None if expected == found else f"{at}: {expected!r} expected, {found!r} found"
    found_differences = (first_difference(e, f, f"{at}.{key}") for key, e, f in pairs)
    return next((difference for difference in found_differences if difference), None)


def test_the_home_is_understood_as_it_was(request: pytest.FixtureRequest) -> None:
    node = FusionNode(config(), model(), stopwatch=lambda: 0)
    found = [prediction.canonical() for prediction in play(node, recording(seed=5, duration_s=10))]
    if request.config.getoption("--update-golden"):
        GOLDEN.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in found))
    expected = [msgspec.json.decode(line) for line in GOLDEN.read_bytes().splitlines()]
    assert len(found) == len(expected)
    for number, (before, now) in enumerate(zip(expected, found, strict=True)):
        difference = first_difference(before, now, f"prediction {number}")
        assert difference is None, difference


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
