"""An evaluation as one HTML page that needs nothing else: no script, no font, no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from pipeline.error import SensoriumError
from pipeline.evaluation.report import HEADLINES
from pipeline.latency.page import STYLE
from pipeline.latency.plot import COLOURS, lines

CELL_PX, LEFT_PX, TOP_PX = 34, 170, 120
MAX_CLASSES = 30  # of a picture of the confusion


def write_page(path: Path, found: Mapping[str, Any]) -> None:
    """Raises SensoriumError."""
    try:
        path.write_text(page(found), encoding="utf-8")
    except OSError as error:
        raise SensoriumError(f"{path}: cannot be written: {error.strerror}") from error


def page(found: Mapping[str, Any]) -> str:
    """The page of one evaluation."""
    title = f"How right {found['bundle']} is"
    about = (
        f"{found['windows']} {found['what']}; {found['precision']} on {found['backend']};"
        f" {found['latency_ms']['p50']:.2f} ms a window (p99 {found['latency_ms']['p99']:.2f} ms),"
        f" {found['size_bytes'] / 1e6:.2f} MB"
    )
    body = [
        f"<h1>{escape(title)}</h1><p class='soft'>{escape(about)}</p>",
        f"<h2>{escape(found['main'])}</h2>" + _facts(_main(found)),
        "<h2>What is missing</h2>" + _bars(_conditions(found)),
        "<h2>How much corruption it stands</h2>" + _curves(found),
        *(part for name, scores in found["heads"].items() for part in _head(name, scores)),
    ]
    head = f"<meta charset='utf-8'><title>{escape(title)}</title><style>{STYLE}</style>"
    wide = "<meta name='viewport' content='width=device-width, initial-scale=1'>"
    return f"<!doctype html><html lang='en'><head>{wide}{head}</head><body>{''.join(body)}</body>\n"


def _main(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    named = {found["score_name"]: "score", "ECE": "ece", "robust": "robust", "stale": "stale"}
    return [(name, f"{found[key]:.4f}") for name, key in named.items() if found[key] is not None]


def _conditions(found: Mapping[str, Any]) -> dict[str, float | None]:
    named = {
        "everything": found["score"],
        **{f"without {k.replace('+', ', ')}": x for k, x in found["missing"].items()},
        **{f"{k} under noise": x for k, x in found["noisy"].items()},
        **{f"noise for {k}": x for k, x in found.get("replaced", {}).items()},
    }
    return named | ({"stale": found["stale"]} if found["stale"] is not None else {})


def _curves(found: Mapping[str, Any]) -> str:
    curves = {
        modality: [(dose, score) for dose, score in curve if score is not None]
        for modality, curve in found["curves"].items()
    }
    return lines(curves, "dose of corruption; 1 is what a bundle is judged by", "score")


def _head(name: str, scores: Mapping[str, Any]) -> list[str]:
    rows = [(label, f"{scores[k]:.4f}") for k, label in HEADLINES if scores.get(k) is not None]
    parts = [f"<h2>Head {escape(name)}</h2>", _facts(rows)]
    classes = scores.get("classes", {})
    if classes:
        parts.append(_classes(classes))
    if matrix := scores.get("confusion"):
        parts.append("<h2>True label (row) and answer (column)</h2>" + _confusion(matrix, classes))
    if bins := scores.get("calibration"):
        even = [(0.0, 0.0), (1.0, 1.0)]
        curve = [(sure, true) for sure, true, _ in bins]
        drawn = lines({"answers": curve, "perfect": even}, "confidence", "share right")
        parts.append("<h2>Confidence</h2>" + drawn)
    if pairs := scores.get("pairs"):
        parts.append(_table(("from to", *next(iter(pairs.values()))), _rows(pairs)))
    if shown := scores.get("shown"):
        parts.append(_table(("said", "written"), [list(map(escape, pair)) for pair in shown]))
    return parts


def _classes(classes: Mapping[str, Mapping[str, float]]) -> str:
    columns = ("precision", "recall", "f1", "windows")
    rows = [
        [escape(label), *(f"{of[key]:.3f}" for key in columns[:3]), f"{of['windows']:g}"]
        for label, of in classes.items()
    ]
    return _table(("", *columns), rows)


def _rows(pairs: Mapping[str, Mapping[str, float]]) -> list[list[str]]:
    return [[escape(name), *(f"{x:.3g}" for x in of.values())] for name, of in pairs.items()]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells are HTML."""
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<div class='wide'><table><tr>{top}</tr>{body}</table></div>"


def _facts(facts: Sequence[tuple[str, str]]) -> str:
    rows = "".join(f"<tr><td>{escape(k)}</td><td>{escape(v)}</td></tr>" for k, v in facts)
    return f"<div class='wide'><table class='key'>{rows}</table></div>"


def _bars(values: Mapping[str, float | None]) -> str:
    """A bar from 0 to 1 a row."""
    row_px, left_px, full_px = 26, 300, 480
    drawn = []
    for row, (name, value) in enumerate(values.items()):
        y_px = row * row_px + 4
        width = max(0.0, min(1.0, value or 0.0)) * full_px
        told = "-" if value is None else f"{value:.3f}"
        drawn.append(
            f'<text x="{left_px - 8}" y="{y_px + 14}" text-anchor="end">{escape(name)}</text>'
        )
        drawn.append(
            f'<rect x="{left_px}" y="{y_px}" width="{width:.1f}" height="18" fill="{COLOURS[0]}"/>'
        )
        drawn.append(f'<text x="{left_px + width + 8:.1f}" y="{y_px + 14}">{told}</text>')
    box = f'viewBox="0 0 860 {len(values) * row_px + 8}"'
    return f'<svg {box} role="img">{"".join(drawn)}</svg>'


def _confusion(matrix: Sequence[Sequence[int]], classes: Mapping[str, Any]) -> str:
    """Counts, the darker the larger their share of the row."""
    labels = list(classes)
    if len(labels) > MAX_CLASSES:
        return f"<p class='soft'>{len(labels)} classes are too many for a picture.</p>"
    drawn = []
    for row, (label, counts) in enumerate(zip(labels, matrix, strict=True)):
        y_px, total = TOP_PX + row * CELL_PX, max(1, sum(counts))
        drawn.append(_label(LEFT_PX - 8, y_px + 21, label, "end"))
        drawn.append(_label(LEFT_PX + row * CELL_PX + 21, TOP_PX - 8, label, "start", turned=True))
        for column, n in enumerate(counts):
            x_px = LEFT_PX + column * CELL_PX
            colour = COLOURS[0] if row == column else COLOURS[5]
            title = f"<title>{escape(f'{label}: {n} of {total} as {labels[column]}')}</title>"
            drawn.append(
                f'<rect x="{x_px}" y="{y_px}" width="{CELL_PX - 1}" height="{CELL_PX - 1}"'
                f' fill="{colour}" fill-opacity="{n / total:.3f}">{title}</rect>'
            )
            if n:
                drawn.append(_label(x_px + CELL_PX / 2, y_px + 21, str(n), "middle"))
    side_px = len(labels) * CELL_PX
    box = f'viewBox="0 0 {max(860, LEFT_PX + side_px + 90)} {TOP_PX + side_px + 8}"'
    return f'<svg {box} role="img">{"".join(drawn)}</svg>'


def _label(x: float, y: float, text: str, anchor: str, *, turned: bool = False) -> str:
    turn = f' transform="rotate(-45 {x:.1f} {y:.1f})"' if turned else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{turn}>{escape(text)}</text>'
