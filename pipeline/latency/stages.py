"""The way of a sample to its prediction as stages that follow one another without a gap.

Each piece of the way ends at a clock reading and begins where the one before it ended. No stage
is computed as what is left over, and yet their sum is the whole way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from pipeline.encoding import Token
from pipeline.prediction import STAGES, Prediction
from pipeline.sample import Sample

Piece: TypeAlias = "tuple[str, int]"  # a stage, and when this piece of it ended


@dataclass(frozen=True, slots=True, kw_only=True)
class TickTimes:
    """What the stopwatch said as a tick went on."""

    began_ns: int
    aligned_ns: int  # every stream's window is chosen
    fuse_ns: int  # and encoded
    fused_ns: int
    emit_ns: int


def stages_ns(newest: Sample, accepted_ns: int, token: Token, tick: TickTimes) -> tuple[int, ...]:
    """The durations of prediction.STAGES, from the end of the newest sample to emit."""
    found, before_ns = dict.fromkeys(STAGES, 0), newest.t_end_ns
    for stage, end_ns in _way(newest, accepted_ns, token, tick):
        found[stage] += end_ns - before_ns
        before_ns = end_ns
    return tuple(found.values())


def _way(newest: Sample, accepted_ns: int, token: Token, tick: TickTimes) -> Iterator[Piece]:
    yield "publish", newest.t_publish_ns
    yield "arrive", accepted_ns
    encodes_in_this_tick = token.started_ns >= tick.aligned_ns
    if encodes_in_this_tick:
        yield "queue", tick.began_ns
        yield "align", tick.aligned_ns
    yield "queue", token.started_ns
    yield "preprocess", token.prepared_ns
    yield "encode", token.encoded_ns
    if not encodes_in_this_tick:
        # A worker may still be encoding while the tick aligns: nothing waits for that, then.
        yield "tick_wait", max(tick.began_ns, token.encoded_ns)
        yield "align", max(tick.aligned_ns, token.encoded_ns)
    yield "tick_wait", tick.fuse_ns
    yield "fuse", tick.fused_ns
    yield "emit", tick.emit_ns


def sum_errors_ns(prediction: Prediction) -> Iterable[int]:
    """By how much the stages of each stream miss its total; the total is measured otherwise.

    It is emit minus the end of the newest sample, which the prediction has as the tick and an age.
    """
    for stream, stages in prediction.stages_ns.items():
        captured_ns = prediction.tick_ns - prediction.ages_ns[stream]
        yield abs(sum(stages) - (prediction.t_emit_ns - captured_ns))
