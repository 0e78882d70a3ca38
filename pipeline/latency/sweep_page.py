"""A sweep as one HTML page: the capacity, the tail of the latency against the load, every point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from pipeline.latency.load import counted
from pipeline.latency.page import document, facts, save
from pipeline.latency.plot import load_curve


def sweep_page(found: Mapping[str, Any]) -> str:
    """The page of the result of `bench sweep`."""
    title = "What this machine can take"
    about = (
        f"within {found['deadline_ms']:g} ms from tick to prediction, at most"
        f" {found['late_share_allowed']:.0%} of the ticks late or left out"
    )
    lines = "".join(f"<li>{escape(point['text'])}</li>" for point in found["capacity"])
    body = [
        f"<h1>{title}</h1><p class='soft'>{escape(about)}</p><ul>{lines}</ul>",
        "<h2>99th percentile of the latency against the load</h2>",
        load_curve(_curves(found["points"]), found["deadline_ms"]),
        "<p class='soft'>Where a curve leaves its deadline, or ends, the load did not hold: ticks"
        " that were left out have no latency, and count until the next prediction.</p>",
        "<h2>Every load that was tried</h2>" + _table(found["points"]),
    ]
    if "conditions" in found:
        body.append("<h2>Conditions</h2>" + facts(found["conditions"]))
    return document(title, body)


def write_sweep_page(path: Path, found: Mapping[str, Any]) -> None:
    """Raises SensoriumError."""
    save(path, sweep_page(found))


def _curves(points: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[float, float]]]:
    """{sensors: (pictures a second, p99 in ms)}; of several tries the best."""
    best: dict[str, dict[float, float]] = {}
    for point in (p for p in points if p["ticks"]):
        load = point["load"]
        width, height = load["size_px"]
        cameras = counted(load["cameras"], "camera")
        line = best.setdefault(f"{cameras}, {width}x{height}", {})
        at = load["cameras"] * load["rate_hz"]
        line[at] = min(line.get(at, point["p99_ms"]), point["p99_ms"])
    return {name: sorted(line.items()) for name, line in best.items()}


def _table(points: Sequence[Mapping[str, Any]]) -> str:
    names = (
        "cameras",
        "microphones",
        "Hz",
        "p50 ms",
        "p99 ms",
        "late",
        "left out",
        "not sent",
        "holds",
    )
    head = "".join(f"<th>{name}</th>" for name in names)
    rows = "".join(
        "<tr>" + "".join(f"<td>{cell}</td>" for cell in _cells(point)) + "</tr>" for point in points
    )
    return f"<div class='wide'><table><tr>{head}</tr>{rows}</table></div>"


def _cells(point: Mapping[str, Any]) -> tuple[object, ...]:
    load = point["load"]
    width, height = load["size_px"]
    return (
        f"{load['cameras']}, {width}x{height}",
        load["microphones"],
        f"{load['rate_hz']:.0f}",
        f"{point['p50_ms']:.2f}",
        f"{point['p99_ms']:.2f}",
        f"{point['late_share']:.2%}",
        point["left_out"],
        point["sender_late"],
        "yes" if point["holds"] else "no",
    )
