"""The result of a measured run: one object for scripts, and the same for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.latency.conditions import conditions
from pipeline.latency.flat_run import COMPUTED
from pipeline.latency.histogram import Histogram
from pipeline.latency.live_run import Outcome
from pipeline.latency.measurement import Measurement

SHOWN = ("p50", "p90", "p99", "p999", "max")
MODES: Mapping[str, str] = {
    "live": "a run of the configured sensors",
    "paced": "a log played in its own time",
    "flat": "a log, as fast as it computes",
}


def result(outcome: Outcome) -> dict[str, Any]:
    """Everything that was found, as JSON has it. Durations in ms, but for names that say others."""
    measured, in_time = outcome.measured, outcome.mode != "flat"
    deadline_ms = outcome.config.fusion.deadline_ms if in_time else None
    rate_hz = len(measured.latency) / outcome.wall_s if outcome.wall_s else None
    found: dict[str, Any] = {
        "mode": outcome.mode,
        "name": outcome.config.name,
        "seconds": round(outcome.wall_s, 3),
        "predictions": len(measured.latency),
        "predictions_per_s": round(rate_hz, 3) if rate_hz else None,
        "warm_up_predictions": measured.n_warm_up,
        "latency_ms": measured.latency.summary_ms(),
        "corrected_latency_ms": measured.corrected.summary_ms() if in_time else None,
        "ticks_left_out": measured.n_left_out if in_time else None,
        "jitter_ms": measured.jitter.summary_ms(),
        "sensor_to_prediction_ms": measured.total.summary_ms() if in_time else None,
        "stages_ms": _stages(measured.stages, in_time),
        "streams": _streams(measured, in_time),
        "skew_ms": {pair: counts.summary_ms() for pair, counts in measured.skews.items()},
        "sum_error_us_max": measured.sum_error_max_ns / 1000,
        "overhead_ratio": None,  # it needs a lane of raw ZeroMQ, which `bench camera` has
        "deadline_ms": deadline_ms,
        "deadline_missed": measured.n_missed if deadline_ms else None,
        "dropped": outcome.ledger.get("dropped", {}),
        "first_prediction_s": outcome.first_prediction_s,
        "unseen_predictions": measured.n_unseen,
        "durations_outside": _outside(measured),
        "ledger": outcome.ledger.get("streams", {}),
        "processes": outcome.processes,
        "energy_j": dict(outcome.energy_j) or None,  # of the whole machine, where it tells
        "conditions": conditions(outcome.config),
        "series": _series(measured),
    }
    return found


def histograms(measured: Measurement) -> list[tuple[str, Histogram]]:
    """What an .hlog file holds, by tag."""
    found = [("latency", measured.latency), ("corrected_latency", measured.corrected)]
    found.append(("sensor_to_prediction", measured.total))
    found += [(f"stage_{name}", counts) for name, counts in measured.stages.items()]
    return found


def latencies_ms(found: Mapping[str, Any]) -> list[float]:
    """Each single latency of a result."""
    return [latency for _, latency in found["series"]]


def _stages(stages: Mapping[str, Histogram], in_time: bool) -> dict[str, dict[str, float]]:
    """Out of time those that were computed alone: the rest lies between two clocks."""
    return {
        name: counts.summary_ms()
        for name, counts in stages.items()
        if len(counts) and (in_time or name in COMPUTED)
    }


def _streams(measured: Measurement, in_time: bool) -> dict[str, Any]:
    return {
        stream: {
            "total_ms": total.summary_ms() if in_time else None,
            "stages_ms": _stages(measured.stream_stages[stream], in_time),
        }
        for stream, total in measured.streams.items()
    }


def _outside(measured: Measurement) -> int:
    """Negative ones come of the clock of another host, which is known only so well."""
    return sum(counts.n_outside for _, counts in histograms(measured))


def _series(measured: Measurement) -> list[tuple[float, float]]:
    """(seconds since the warm-up, latency in ms)."""
    return [
        (round((emit_ns - measured.first_ns) / 1e9, 4), round(latency_ns / 1e6, 4))
        for emit_ns, latency_ns in measured.series
    ]


def text(found: Mapping[str, Any]) -> str:
    """The result for people."""
    rate_hz = found["predictions_per_s"] or 0.0
    lines = [
        f"{found['name']}, {MODES[found['mode']]}: {found['predictions']} predictions in"
        f" {found['seconds']:.1f} s ({rate_hz:.1f} a second), after"
        f" {found['warm_up_predictions']} of warm-up that do not count",
    ]
    rows = [row for row in _rows(found) if row[1]]
    width = max(24, *(len(name) for name, _ in rows))
    lines.append(f"{'milliseconds':{width + 2}}" + "".join(f"{name:>10}" for name in SHOWN))
    lines += [_row(name.ljust(width), summary) for name, summary in rows]
    lines += _remarks(found)
    for name, cost in found["processes"].items():
        mib = cost["peak_bytes"] / 2**20
        lines.append(f"  {name:24} {cost['cpu_s']:8.2f} s on a CPU, at most {mib:.0f} MiB")
    for name, joules in (found["energy_j"] or {}).items():
        lines.append(f"  {name:24} {joules:8.2f} J, {joules / found['seconds']:.2f} W")
    told = found["conditions"]
    lines.append(
        f"{told['cpu']}, {told['cores_allowed']} of {told['cores']} cores, governor"
        f" {told['governor']}, load {told['load_before'][0]}, {told['backend']}, bundle"
        f" {told['bundle']} {told['bundle_sha256'][:12]}, commit {_short(told['commit'])}"
    )
    return "\n".join(lines)


def _short(commit: str | None) -> str:
    number, _, rest = (commit or "unknown").partition(" ")
    return " ".join([number[:12], rest]).strip()


def _rows(found: Mapping[str, Any]) -> list[tuple[str, Mapping[str, float] | None]]:
    rows: list[tuple[str, Mapping[str, float] | None]] = [
        ("latency", found["latency_ms"]),
        ("  with ticks left out", found["corrected_latency_ms"]),
        ("jitter", found["jitter_ms"]),
    ]
    rows += [(f"{stream}", one["total_ms"]) for stream, one in found["streams"].items()]
    rows += [(f"  {stage}", summary) for stage, summary in found["stages_ms"].items()]
    rows += [(f"skew of {pair}", summary) for pair, summary in found["skew_ms"].items()]
    return rows


def _row(name: str, summary: Mapping[str, float] | None) -> str:
    return f"  {name}" + "".join(f"{(summary or {})[key]:10.3f}" for key in SHOWN)


def _remarks(found: Mapping[str, Any]) -> list[str]:
    lines = [f"stages miss their totals by {found['sum_error_us_max']:g} us at most"]
    if found["deadline_ms"]:
        lines.append(f"{found['deadline_missed']} later than {found['deadline_ms']:g} ms")
    if found["ticks_left_out"]:
        lines.append(f"{found['ticks_left_out']} ticks left out, as the node was late")
    lost = ", ".join(f"{n} {reason}" for reason, n in found["dropped"].items())
    lines.append(f"dropped: {lost or 'none'}; unseen predictions: {found['unseen_predictions']}")
    if found["durations_outside"]:
        lines.append(f"{found['durations_outside']} durations were negative, and are left out")
    if found["first_prediction_s"]:
        lines.append(f"first prediction after {found['first_prediction_s']:.2f} s")
    return lines
