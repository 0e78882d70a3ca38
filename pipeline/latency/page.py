"""A measured run as one HTML page that needs nothing else: no script, no font, no network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.error import SensoriumError
from pipeline.latency.plot import over_time, percentile_curve, stacked_bars
from pipeline.latency.result import MODES, SHOWN, latencies_ms

CURVE = (0.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 98.0, 99.0, 99.5, 99.9, 99.95, 99.99)
WAITS = ("queue", "tick_wait")
STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --paper: #fff; --rule: #d0d7de; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --soft: #9aa4af; --paper: #0d1117; --rule: #30363d; }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 900px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p { margin: .3rem 0; } .soft { color: var(--soft); }
svg { width: 100%; height: auto; } svg text { fill: var(--soft); font-size: 12px; }
svg .grid { stroke: var(--rule); stroke-width: 1; }
.legend span { margin-right: 1rem; white-space: nowrap; color: var(--soft); }
.legend i { display: inline-block; width: .8em; height: .8em; margin-right: .35em; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.tiles { display: flex; flex-wrap: wrap; gap: .6rem; margin: 1.2rem 0; }
.tiles div { flex: 1 1 7rem; border: 1px solid var(--rule); border-radius: 8px;
  padding: .5rem .8rem; }
.tiles b { display: block; font-size: 1.35rem; font-weight: 600; white-space: nowrap; }
.tiles span { color: var(--soft); font-size: .85rem; }
tr.part td:first-child { padding-left: 1.2rem; }
td, th { padding: .2rem .8rem .2rem 0; text-align: right; border-bottom: 1px solid var(--rule); }
td:first-child, th:first-child { text-align: left; } .key td { text-align: left; }
"""


def page(found: Mapping[str, Any]) -> str:
    """The page of one result."""
    title = f"Latency of {found['name']}"
    rate_hz = found["predictions_per_s"] or 0.0
    about = (
        f"{MODES[found['mode']]}: {found['predictions']} predictions in {found['seconds']:.1f} s"
        f" ({rate_hz:.1f} a second), after {found['warm_up_predictions']} of warm-up"
    )
    body = [
        f"<h1>{escape(title)}</h1><p class='soft'>{escape(about)}</p>{_tiles(found)}",
        "<h2>Milliseconds</h2>" + _table(found),
        "<h2>Percentiles</h2>" + percentile_curve(_curves(found)),
        "<h2>Where the time goes: mean of each stage</h2>" + stacked_bars(_bars(found)),
        _work(_bars(found)),
        "<h2>Over time</h2>" + over_time(found["series"], found["deadline_ms"]),
        "<h2>Losses and costs</h2>" + _facts(_losses(found)),
        "<h2>Conditions</h2>" + facts(found["conditions"]),
    ]
    return document(title, body)


def document(title: str, body: Sequence[str]) -> str:
    """A whole page around its parts."""
    head = f"<meta charset='utf-8'><title>{escape(title)}</title><style>{STYLE}</style>"
    wide = "<meta name='viewport' content='width=device-width, initial-scale=1'>"
    return f"<!doctype html><html lang='en'><head>{wide}{head}</head><body>{''.join(body)}</body>\n"


def _tiles(found: Mapping[str, Any]) -> str:
    """What is looked at first."""
    shown = ((name, found["latency_ms"][name]) for name in ("p50", "p99", "max"))
    tiles = [(f"latency, {name}", f"{ms:.1f} ms") for name, ms in shown]
    if found["deadline_ms"]:
        tiles.append((f"later than {found['deadline_ms']:g} ms", str(found["deadline_missed"])))
    if found["ticks_left_out"] is not None:
        tiles.append(("ticks left out", str(found["ticks_left_out"])))
    tiles.append(("samples dropped", str(sum(found["dropped"].values()))))
    drawn = "".join(f"<div><b>{escape(v)}</b><span>{escape(k)}</span></div>" for k, v in tiles)
    return f"<div class='tiles'>{drawn}</div>"


def _percentile(name: str) -> str:
    """The name as people write it."""
    return "p99.9" if name == "p999" else name


def write_page(path: Path, found: Mapping[str, Any]) -> None:
    """Raises SensoriumError."""
    save(path, page(found))


def save(path: Path, text: str) -> None:
    """Write a page. Raises SensoriumError."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SensoriumError(f"{path}: cannot be written: {error.strerror}") from error


def _curves(found: Mapping[str, Any]) -> dict[str, list[tuple[float, float]]]:
    latencies = latencies_ms(found)
    # Beyond one in n nothing is known of n values.
    known = [p for p in CURVE if (1 - p / 100) * len(latencies) >= 1]
    return {"latency": [(p, float(np.percentile(latencies, p))) for p in known]}


def _bars(found: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Means add up to the mean of the whole; percentiles would not."""
    return {
        stream: {stage: summary["mean"] for stage, summary in one["stages_ms"].items()}
        for stream, one in found["streams"].items()
        if one["stages_ms"]
    }


def _work(bars: Mapping[str, Mapping[str, float]]) -> str:
    """The age that a sample has anyhow would hide the work; colours stay those of their stages."""
    if not any(parts.keys() & set(WAITS) for parts in bars.values()):
        return ""
    work = {
        stream: {stage: 0.0 if stage in WAITS else ms for stage, ms in parts.items()}
        for stream, parts in bars.items()
    }
    return "<h2>The same without the waits</h2>" + stacked_bars(work)


def _table(found: Mapping[str, Any]) -> str:
    rows: list[tuple[str, Mapping[str, float] | None]] = [
        ("latency", found["latency_ms"]),
        ("with ticks left out", found["corrected_latency_ms"]),
        ("jitter", found["jitter_ms"]),
        ("sensor to prediction", found["sensor_to_prediction_ms"]),
    ]
    stages = found["stages_ms"].items()
    skews = [(f"skew of {pair}", summary) for pair, summary in found["skew_ms"].items()]
    head = "".join(f"<th>{_percentile(name)}</th>" for name in ("", *SHOWN))
    body = _rows(rows) + _rows(stages, "part") + _rows(skews)
    return f"<div class='wide'><table><tr>{head}</tr>{body}</table></div>"


def _rows(rows: Iterable[tuple[str, Mapping[str, float] | None]], kind: str = "") -> str:
    """Rows of SHOWN; those of no value are left out."""
    return "".join(
        f"<tr class='{kind}'><td>{escape(name)}</td>"
        + "".join(f"<td>{summary[key]:.3f}</td>" for key in SHOWN)
        + "</tr>"
        for name, summary in rows
        if summary
    )


def _losses(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    lost = ", ".join(f"{n} {reason}" for reason, n in found["dropped"].items()) or "none"
    facts = [
        ("samples dropped", lost),
        ("stages miss totals by", f"{found['sum_error_us_max']} us"),
    ]
    if found["deadline_ms"]:
        facts.append((f"later than {found['deadline_ms']:g} ms", str(found["deadline_missed"])))
    if found["first_prediction_s"]:
        facts.append(("first prediction after", f"{found['first_prediction_s']} s"))
    for name, cost in found["processes"].items():
        mib = cost["peak_bytes"] / 2**20
        facts.append((name, f"{cost['cpu_s']} s on a CPU, at most {mib:.0f} MiB"))
    for name, joules in (found["energy_j"] or {}).items():
        facts.append((f"energy, {name}", f"{joules} J, {joules / found['seconds']:.2f} W"))
    return facts


def facts(told: Mapping[str, Any]) -> str:
    """A table of names and what was found under them."""
    return _facts([(key.replace("_", " "), _words(value)) for key, value in told.items()])


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {inner}" for key, inner in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(str, value))
    return "not told by this machine" if value is None else str(value)


def _facts(facts: Sequence[tuple[str, str]]) -> str:
    rows = "".join(f"<tr><td>{escape(k)}</td><td>{escape(v)}</td></tr>" for k, v in facts)
    return f"<div class='wide'><table class='key'>{rows}</table></div>"
