"""Follows a replay to its end and says what came of it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.progress import progress
from pipeline.replay import golden
from pipeline.replay.comparison import Comparison
from pipeline.replay.part import Part
from pipeline.replay.virtual import Step, VirtualReplay


def follow(
    run: VirtualReplay, part: Part, *, golden: Path | None = None, write: Path | None = None
) -> dict[str, Any]:
    """Replay, and return the result for --json; `golden` in it is the first difference, if any.

    Raises what the replay raises, and GoldenError.
    """
    comparison = Comparison(part.log_start_ns)
    started_s = time.perf_counter()
    with progress("replaying", part.length_ns / 1e9) as advance:
        steps = _counted(run, part, comparison, advance)
        told = _judge(steps, golden, write)
        deque(steps, maxlen=0)  # what stands behind the first difference is counted too
    wall_s = time.perf_counter() - started_s
    found = comparison.result()
    found |= {"windows": run.mode, "log_s": part.length_ns / 1e9, "wall_s": wall_s}
    found |= {"speed": part.length_ns / 1e9 / wall_s, "refused": dict(run.refused)}
    found |= {"lacking": run.lacking}
    return found | ({"golden": told} if golden else {})


def _counted(
    run: VirtualReplay, part: Part, comparison: Comparison, advance: Any
) -> Iterator[Step]:
    for step in run.run():
        comparison.add(step)
        advance((step.prediction.tick_ns - part.start_ns) / 1e9)
        yield step


def _judge(steps: Iterator[Step], expected: Path | None, write: Path | None) -> str | None:
    """The first difference from a golden file; or write one."""
    if expected:
        found = (step.prediction.canonical() for step in steps)
        return golden.difference(golden.read_golden(expected), found)
    if write:
        golden.write_golden(write, (step.prediction for step in steps))
    return None


def text(result: dict[str, Any]) -> str:
    """The result for people."""
    lines = [
        f"{result['predictions']} predictions, {result['log_s']:.1f} s of log in"
        f" {result['wall_s']:.1f} s: {result['speed']:.1f} times as fast as it was",
        f"predictions_sha256 {result['predictions_sha256']}",
    ]
    lines += [f"{stream}: {n} samples refused" for stream, n in result["refused"].items()]
    lacking = [(stream, n) for stream, n in result["lacking"].items()]
    differences, realigned = result["differences"], result["realigned"]
    if not differences["compared"]:
        return "\n".join([*lines, "the log holds no predictions to compare with"])
    lines.append(
        f"{differences['compared']} compared with the recorded ones, {result['windows']} windows:"
        f" {differences['inputs']} differ in their inputs, {differences['scores']} in a score (by"
        f" {differences['max_score']:.2g} at most), {differences['decisions']} in the decision"
    )
    lines += [f"  {n} windows of {stream} are not whole in the log" for stream, n in lacking]
    lines += [f"  at {_decision(told)}" for told in differences["first"]]
    lines.append(
        f"re-aligned, {realigned['differ']} of {realigned['windows']} windows differ from the"
        f" recorded ones ({realigned['share']:.2%})"
    )
    return "\n".join(lines)


def _decision(told: dict[str, Any]) -> str:
    old, new = (_scores(told[f"{which}_scores"]) for which in ("old", "new"))
    return f"{told['at_s']:.1f} s: {told['old']} ({old}) is now {told['new']} ({new})"


def _scores(scores: dict[str, float]) -> str:
    return ", ".join(f"{label} {score:.3f}" for label, score in scores.items())
