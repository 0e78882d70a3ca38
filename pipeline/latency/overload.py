"""`sensorium bench overload`: three times what the machine can take, with and without a governor.

The capacity is that of one camera and one microphone, swept just before. Then three of each are
there all the time, at the same tick rate: first together with a third of the capacity, then each
with the whole of it, and then again with a third. What is broken is named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from pipeline.latency.load import Load, Phase, Plan, config_of
from pipeline.latency.load_run import Loaded, Span, run_load, span_of
from pipeline.latency.sweep import WARM_UP_S, Ask

TIMES = 3
CALM_S, OVERLOAD_S, AFTER_S = 3.0, 15.0, 12.0
REACTION_S, RECOVERY_S = 5.0, 10.0
LATE_SHARE = 0.01
NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One run, governed or not: its spans before, in, and after the overload."""

    loaded: Loaded
    before: Span
    at_first: Span
    settled: Span
    after: Span


def run_side(capacity: Load, ask: Ask, *, governor: bool) -> Side:
    """Bring the load to a node of its own. Raises what a run raises."""
    load = msgspec.structs.replace(
        capacity, cameras=TIMES * capacity.cameras, microphones=TIMES * capacity.microphones
    )
    config = config_of(load, deadline_ms=ask.deadline_ms, bundle=ask.bundle, governor=governor)
    full_hz = capacity.rate_hz
    light_hz = full_hz / TIMES**2  # of each camera; together a third of the capacity
    phases = [
        Phase(seconds=WARM_UP_S + CALM_S, rate_hz=light_hz),
        Phase(seconds=OVERLOAD_S, rate_hz=full_hz),
        Phase(seconds=AFTER_S, rate_hz=light_hz),
    ]
    loaded = run_load(config, Plan(size_px=load.size_px, phases=phases), ask.stop)
    begun_ns, over_ns, after_ns, end_ns = loaded.sent.begun_ns
    settled_ns = over_ns + int(REACTION_S * NS_PER_S)
    return Side(
        loaded=loaded,
        before=span_of(loaded, begun_ns + int(WARM_UP_S * NS_PER_S), over_ns),
        at_first=span_of(loaded, over_ns, settled_ns),
        settled=span_of(loaded, settled_ns, after_ns),
        after=span_of(loaded, after_ns, end_ns),
    )


def side_result(side: Side) -> dict[str, Any]:
    """What one run came to."""
    loaded, (begun_ns, over_ns, after_ns, end_ns) = side.loaded, side.loaded.sent.begun_ns
    every = np.array(loaded.ticks.encode_every)
    emit_ns = np.array(loaded.ticks.emit_ns)
    saved_ns = emit_ns[(every > 1) & (emit_ns > after_ns)]
    seen = loaded.rows(begun_ns + int(WARM_UP_S * NS_PER_S), end_ns)
    spans = {
        "before": side.before,
        "overload_first_5_s": side.at_first,
        "overload_after_5_s": side.settled,
        "after": side.after,
    }
    return {
        "spans": {name: _span(span) for name, span in spans.items()},
        "encode_every_most": int(every.max(initial=1)),
        "encode_every_in_overload": int(np.median(every[loaded.rows(over_ns, after_ns)])),
        "full_rate_after_s": round(float((saved_ns.max() - after_ns) / 1e9), 2)
        if len(saved_ns)
        else 0.0,
        "full_rate_at_end": bool(every[-1] == 1),
        "masked_ticks": dict(Counter(s for lost in loaded.ticks.missing[seen] for s in lost)),
        "dropped": loaded.result["dropped"],
        "ledger": loaded.result["streams"],
        "sender_late": loaded.sent.late,
    }


def _span(span: Span) -> dict[str, float]:
    return {
        "ticks": span.n_ticks,
        "late": span.n_late,
        "left_out": span.n_left_out,
        "late_share": round(span.late_share, 5),
        **{f"p{p}_ms": round(span.percentile_ms(p), 3) for p in (50, 95, 99)},
        "max_ms": round(span.percentile_ms(100), 3),
    }


def broken(governed: Mapping[str, Any], free: Mapping[str, Any]) -> Iterator[str]:
    """What did not hold, in words."""
    settled, unsettled = (s["spans"]["overload_after_5_s"] for s in (governed, free))
    if settled["late_share"] >= LATE_SHARE:
        yield f"governed: {settled['late_share']:.2%} late after {REACTION_S:g} s of overload"
    if not governed["full_rate_at_end"] or governed["full_rate_after_s"] > RECOVERY_S:
        yield f"governed: not back at full rate {RECOVERY_S:g} s after the overload"
    if unsettled["late_share"] < LATE_SHARE:
        yield "without a governor nothing was late: that was no overload"
    for name, side in (("governed", governed), ("free", free)):
        for stream, n in side["masked_ticks"].items():
            yield f"{name}: {stream} was masked in {n} ticks"
        for stream, books in side["ledger"].items():
            if books["captured"] != books["delivered"] + sum(books["dropped"].values()):
                yield f"{name}: the books of {stream} do not close: {books}"


def run_overload(capacity: Load, ask: Ask) -> dict[str, Any]:
    """Both runs, one after the other."""
    governed = side_result(run_side(capacity, ask, governor=True))
    free = side_result(run_side(capacity, ask, governor=False))
    return {
        "mode": "overload",
        "capacity": msgspec.to_builtins(capacity),
        "times": TIMES,
        "tick_hz": capacity.rate_hz,
        "deadline_ms": ask.deadline_ms,
        "governed": governed,
        "free": free,
        "broken": list(broken(governed, free)),
    }


def text(found: Mapping[str, Any]) -> str:
    """The result for people."""
    rows = [
        f"{found['times']} times {msgspec.convert(found['capacity'], Load)}, ticks at"
        f" {found['tick_hz']:.0f} Hz throughout, deadline {found['deadline_ms']:g} ms"
    ]
    for name in ("governed", "free"):
        side = found[name]
        rows.append(f"{name}:")
        rows += [_row(span, row) for span, row in side["spans"].items()]
        lost = ", ".join(f"{n} {reason}" for reason, n in side["dropped"].items()) or "none"
        masked = ", ".join(f"{s} in {n} ticks" for s, n in side["masked_ticks"].items()) or "none"
        rows.append(f"  masked: {masked}; samples lost: {lost}")
    governed = found["governed"]
    rows.append(
        f"governed: each stream encoded once in {governed['encode_every_in_overload']} ticks"
        f" (median of the overload), at full rate {governed['full_rate_after_s']:.1f} s after it"
    )
    return "\n".join(rows)


def _row(name: str, span: Mapping[str, float]) -> str:
    return (
        f"  {name.replace('_', ' '):20} {span['late_share']:7.2%} late or left out of"
        f" {span['ticks']:5.0f}, p50 {span['p50_ms']:.2f}, p99 {span['p99_ms']:.2f}, max"
        f" {span['max_ms']:.2f} ms"
    )
