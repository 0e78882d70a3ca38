"""Splits a log in time into parts, as train, val and test, that share no sample.

The log is cut into blocks of time. Each block goes to one part as a whole; which one is drawn, so
that each part gets its share of every label as far as whole blocks allow. Where a block follows
one of another part, its first `guard_ns` are left out: a window that ends in the rest reaches back
no further, so no part ever sees a sample of another.
"""

from __future__ import annotations

import bisect
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import msgspec
from msgspec import Struct

from pipeline.exchange.draft import draft
from pipeline.label.store import LabelError
from pipeline.sample import Label

SUFFIX = ".split.json"
MAX_BLOCKS = 1_000_000
Interval = tuple[int, int]


class Split(Struct, frozen=True, kw_only=True):
    """Which ticks belong to which part: `parts` {name: [(start_ns, end_ns)], end exclusive}.

    Times are those of the recording's monotonic clock.
    """

    log: str
    seed: int
    block_ns: int
    guard_ns: int
    parts: dict[str, list[Interval]]

    def part_at(self, tick_ns: int) -> str | None:
        """The part that a tick belongs to; None in a guard gap, or outside of the log."""
        for name, intervals in self.parts.items():
            at = bisect.bisect_right(intervals, tick_ns, key=lambda interval: interval[0])
            if at and tick_ns < intervals[at - 1][1]:
                return name
        return None

    def seconds_of(self, labels: Sequence[Label], part: str) -> dict[str, float]:
        """{label: seconds} of a part; "" is the whole of it."""
        held: Counter[str] = Counter()
        for start_ns, end_ns in self.parts[part]:
            held[""] += end_ns - start_ns
            for label in labels:
                shared_ns = min(end_ns, label.t_until_ns) - max(start_ns, label.t_capture_ns)
                held[label.label] += max(0, shared_ns)
        return {label: round(ns / 1e9, 3) for label, ns in sorted(held.items()) if ns}


class Plan(Struct, frozen=True, kw_only=True):
    """How to split: `shares` {part: its share}."""

    shares: dict[str, float]
    block_ns: int
    guard_ns: int
    seed: int = 1


def make_split(log: str, span: Interval, labels: Sequence[Label], plan: Plan) -> Split:
    """Blocks over the span, dealt out to the parts. Raises LabelError where they are too few."""
    blocks = _blocks(span, plan.block_ns)
    if len(blocks) < len(plan.shares):
        raise LabelError(
            f"{(span[1] - span[0]) / 1e9:.1f} s are {len(blocks)} blocks of"
            f" {plan.block_ns / 1e9:g} s, too few for {len(plan.shares)} parts:"
            " give a smaller --block-s, and --guard-s"
        )
    names = _deal(_contents(blocks, labels), plan.shares, random.Random(plan.seed))
    parts: dict[str, list[Interval]] = {name: [] for name in plan.shares}
    for n, ((start_ns, end_ns), name) in enumerate(zip(blocks, names, strict=True)):
        follows_own = n > 0 and names[n - 1] == name
        if follows_own:
            parts[name][-1] = (parts[name][-1][0], end_ns)
        else:
            parts[name].append((start_ns + (plan.guard_ns if n else 0), end_ns))
    return Split(
        log=log, seed=plan.seed, block_ns=plan.block_ns, guard_ns=plan.guard_ns, parts=parts
    )


def split_path(log_file: Path) -> Path:
    """The name of the file with the split of a log."""
    return log_file.with_name(log_file.name + SUFFIX)


def write_split(log_file: Path, split: Split) -> Path:
    """Write it beside the log, whole or not at all. Raises ExchangeError."""
    path = split_path(log_file)
    with draft(path, replace=True) as made:
        made.write_bytes(msgspec.json.format(msgspec.json.encode(split)) + b"\n")
    return path


def read_split(log_file: Path) -> Split:
    """The split beside a log. Raises LabelError."""
    path = split_path(log_file)
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Split)
    except FileNotFoundError as error:
        raise LabelError(f"{log_file}: has no split: run `sensorium label split`") from error
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise LabelError(f"{path}: cannot be read: {error}") from error
    for intervals in found.parts.values():
        if any(a[1] > b[0] for a, b in pairwise(intervals)):
            raise LabelError(f"{path}: its intervals are not in order")
    return found


def _blocks(span: Interval, block_ns: int) -> list[Interval]:
    """The span in whole blocks; what is left at the end belongs to the last one."""
    start_ns, end_ns = span
    n = min(MAX_BLOCKS, max(1, (end_ns - start_ns) // block_ns))
    edges = [start_ns + k * block_ns for k in range(n)] + [end_ns]
    return list(pairwise(edges))


def _contents(blocks: Sequence[Interval], labels: Sequence[Label]) -> list[Counter[str]]:
    """{label: ns} in each block; time without a label counts as the label ""."""
    contents = [Counter({"": end_ns - start_ns}) for start_ns, end_ns in blocks]
    starts = [start_ns for start_ns, _ in blocks]
    for label in labels:
        at = max(0, bisect.bisect_right(starts, label.t_capture_ns) - 1)
        while at < len(blocks) and blocks[at][0] < label.t_until_ns:
            shared_ns = min(blocks[at][1], label.t_until_ns) - max(
                blocks[at][0], label.t_capture_ns
            )
            contents[at][label.label] += max(0, shared_ns)
            contents[at][""] -= max(0, shared_ns)
            at += 1
    return contents


def _deal(
    contents: Sequence[Counter[str]], shares: Mapping[str, float], draw: random.Random
) -> list[str]:
    """The part of each block: rare labels first, to the part that lacks most of them.

    That is iterative stratification (Sechidis et al. 2011) with durations in place of counts.
    """
    totals: Counter[str] = sum(contents, Counter())
    whole = sum(shares.values())
    lacking = {
        name: {label: share / whole * ns for label, ns in totals.items()}
        for name, share in shares.items()
    }
    order = list(range(len(contents)))
    draw.shuffle(order)
    order.sort(key=lambda n: min((totals[label] for label, ns in contents[n].items() if ns > 0)))
    names = [""] * len(contents)
    for left, n in zip(range(len(order), 0, -1), order, strict=True):
        empty = [name for name in shares if name not in names]
        open_to = empty if len(empty) >= left else list(shares)
        names[n] = max(open_to, key=lambda name: _need(lacking[name], contents[n], totals))
        for label, ns in contents[n].items():
            lacking[names[n]][label] = lacking[names[n]].get(label, 0.0) - ns
    return names


def _need(lacking: Mapping[str, float], content: Counter[str], totals: Counter[str]) -> float:
    """How much a part lacks of what a block holds, each label weighed by its rarity."""
    return sum(
        lacking.get(label, 0.0) * ns / totals[label] ** 2 for label, ns in content.items() if ns > 0
    )
