"""A log is split in time into parts that share no sample."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.error import SensoriumError
from pipeline.label.split import Plan, make_split, read_split
from pipeline.label.store import make_set
from pipeline.sample import Label
from tests.pipeline.test_label import ZERO_NS, S, make_log


def scenes(*, n: int, scene_s: int = 6, kinds: int = 8, gap_s: int = 0) -> list[Label]:
    """Scenes one after the other, of labels in turn that are not equally frequent."""
    step_s = scene_s + gap_s
    found = [
        (k * step_s * S, (k * step_s + scene_s) * S, str(k * k % 11 % kinds), 1.0) for k in range(n)
    ]
    return make_set("truth", found, "truth")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_parts_share_no_time_and_get_their_shares(seed: int) -> None:
    labels = scenes(n=1000)
    plan = Plan(
        shares={"train": 0.7, "val": 0.15, "test": 0.15},
        block_ns=60 * S,
        guard_ns=12 * S,
        seed=seed,
    )
    split = make_split("x", (0, 6000 * S), labels, plan)

    edges = sorted((a, b, name) for name, parts in split.parts.items() for a, b in parts)
    for (_, before, old), (after, _, new) in itertools.pairwise(edges):
        assert old != new and after - before == 12 * S
    totals = split_seconds(split.parts["train"] + split.parts["val"] + split.parts["test"])
    for name, share in plan.shares.items():
        held = split.seconds_of(labels, name)
        assert held[""] / totals == pytest.approx(share, abs=0.08)
        assert held.keys() == {"", *{x.label for x in labels}}
    assert split == make_split("x", (0, 6000 * S), labels, plan)


def split_seconds(intervals: list[tuple[int, int]]) -> float:
    return sum(end - start for start, end in intervals) / S


def test_a_rare_label_reaches_every_part() -> None:
    rare = [(k * 500 * S, (k * 500 + 20) * S, "rare", 1.0) for k in range(6)]
    labels = make_set("truth", rare, "truth")
    plan = Plan(shares={"a": 1, "b": 1, "c": 1}, block_ns=50 * S, guard_ns=S)
    split = make_split("x", (0, 3000 * S), labels, plan)

    assert [split.seconds_of(labels, name).get("rare", 0) > 20 for name in "abc"] == [True] * 3


def test_split_is_stored_and_tells_the_part_of_a_tick(tmp_path: Path) -> None:
    log = make_log(tmp_path / "x.mcap", seconds=100)
    flags = ["--block-s", "10", "--guard-s", "2", "--parts", "a=0.5,b=0.5", "--seed", "3"]
    assert main(["label", "split", str(log), *flags]) == 0

    split = read_split(log)
    names = [split.part_at(ZERO_NS + t * S // 2) for t in range(-2, 2 * 99)]
    assert set(names) == {"a", "b", None} and names[:2] == [None, None]
    runs = [(name, len(list(run))) for name, run in itertools.groupby(names[2:])]
    for (name, length), (following, _) in itertools.pairwise(runs):
        assert (name is None) != (following is None)
        assert length == 4 if name is None else length >= 16


def test_the_name_of_a_missing_split_is_told(tmp_path: Path) -> None:
    log = make_log(tmp_path / "x.mcap")

    with pytest.raises(SensoriumError, match="has no split: run `sensorium label split`"):
        read_split(log)
