"""What a plan came to: the bounds that were broken, one JSON object, one table."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from pipeline.chaos.plan import NODE, Bounds
from pipeline.chaos.watch import Watch

HEAD = ("fault", "stream", "noticed by", "detect s", "recover s", "ticks missed", "ledger")


def missed(ticks_ns: Sequence[int], period_ns: int, begin_ns: int, end_ns: int) -> int:
    """The ticks without a prediction between two times."""
    if not period_ns:
        return 0
    touching = [(a, b) for a, b in pairwise(ticks_ns) if b > begin_ns and a < end_ns]
    return sum(max(0, round((b - a) / period_ns) - 1) for a, b in touching)


def longest_gap(ticks_ns: Sequence[int], period_ns: int, watches: Sequence[Watch]) -> float:
    """The longest time between two predictions in periods, but for those of a killed node."""
    if not period_ns:
        return 0.0
    away = [
        (w.begin_ns, w.recovered_ns or w.end_ns)
        for w in watches
        if w.fault.kind == "kill" and w.fault.stream == NODE
    ]
    gaps = [
        (b - a) / period_ns
        for a, b in pairwise(ticks_ns)
        if not any(a < end and b > begin for begin, end in away)
    ]
    return round(max(gaps, default=0.0), 2)


def broken(result: dict[str, Any], watches: Sequence[Watch], bounds: Bounds) -> list[str]:
    """Every bound that does not hold, in words."""
    found = []
    for line, watch in zip(result["faults"], watches, strict=True):
        name = f"{line['kind']} of {line['stream']} at {line['at_s']:g} s"
        found += _broken_times(name, watch, bounds)
        if not line["ledger_closed"]:
            open_books = ", ".join(f"{stream}: {what}" for stream, what in line["ledger"].items())
            found.append(f"{name}: the ledger does not close: {open_books}")
    gap = result["longest_gap_periods"]
    if gap > bounds.gap_periods:
        found.append(f"no prediction for {gap:g} periods: more than {bounds.gap_periods:g}")
    for alarm, at_s in result["false_alarms"].items():
        found.append(f"{alarm} at {at_s:g} s: a false alarm")
    if result["orphans"]:
        found.append(f"{result['orphans']} processes were left behind")
    if result["left_behind"]:
        found.append(f"files were left behind: {', '.join(result['left_behind'])}")
    return found


def _broken_times(name: str, watch: Watch, bounds: Bounds) -> list[str]:
    found = [f"{name}: not well when it began: {sign}" for sign in watch.before]
    for what, took_s, limit_s in (
        ("noticed", watch.detect_s, watch.detect_limit_s),
        ("recovered from", watch.recover_s, bounds.recover_s),
    ):
        if took_s is None:
            found.append(f"{name}: not {what}")
        elif took_s > limit_s:
            found.append(f"{name}: {what} after {took_s:g} s: more than {limit_s:g} s")
    return found


def text(result: dict[str, Any]) -> str:
    """The result for people, as a Markdown table."""
    rows = [HEAD, ("---",) * len(HEAD)]
    for line in result["faults"]:
        rows.append(
            (
                line["kind"],
                line["stream"],
                line["signal"] or "nothing",
                _shown(line["detect_s"]),
                _shown(line["recover_s"]),
                str(line["ticks_missed"]),
                "closed" if line["ledger_closed"] else "open",
            )
        )
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    slopes = result["memory_slope_mb_h"]
    memory = ", ".join(f"{name} {slope:+g}" for name, slope in slopes.items()) or "too short a run"
    return (
        f"{table}\n\n{result['predictions']} predictions in {result['seconds']:.0f} s,"
        f" longest gap {result['longest_gap_periods']:g} periods;"
        f" left behind: {result['orphans']} processes, {len(result['left_behind'])} files\n"
        f"memory, MB an hour: {memory}"
    )


def _shown(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.2f}"
