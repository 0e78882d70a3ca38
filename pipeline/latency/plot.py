"""Plots as inline SVG: a line, points over time, and stacked bars. No script, no network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH_PX, HEIGHT_PX = 860, 320
LEFT_PX, RIGHT_PX, TOP_PX, BOTTOM_PX = 62, 16, 24, 44
# Told apart also by the colour-blind (Okabe and Ito, 2008), and by the order of the legend.
COLOURS = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#cc79a7",
    "#56b4e9",
    "#d55e00",
    "#b3a100",
    "#8c6bb1",
    "#7f7f7f",
)
MAX_POINTS = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """A range of values on a range of pixels, with the values that are labelled."""

    low: float
    high: float
    pixels: tuple[float, float]
    marks: Sequence[tuple[float, str]]

    def at(self, value: float) -> float:
        """Where a value lies, in pixels."""
        share = (value - self.low) / (self.high - self.low)
        return self.pixels[0] + share * (self.pixels[1] - self.pixels[0])


def nice_marks(high: float, n: int = 5) -> list[tuple[float, str]]:
    """Round values from 0 to at least `high`, about `n` of them."""
    if high <= 0:
        high = 1.0
    power = 10.0 ** math.floor(math.log10(high / n))
    step = next(power * m for m in (1, 2, 5, 10) if power * m * n >= high * 0.999)
    return [(i * step, f"{i * step:g}") for i in range(math.ceil(high / step - 1e-9) + 1)]


def _y_axis(high: float) -> Axis:
    marks = nice_marks(high)
    pixels = (HEIGHT_PX - BOTTOM_PX, TOP_PX)
    return Axis(low=0, high=marks[-1][0], pixels=pixels, marks=marks)


def _x_axis(low: float, high: float, marks: Sequence[tuple[float, str]]) -> Axis:
    pixels = (LEFT_PX, WIDTH_PX - RIGHT_PX)
    return Axis(low=low, high=high if high > low else low + 1, pixels=pixels, marks=marks)


def percentile_curve(curves: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Curves of (percentile, ms); each further nine takes the same space."""
    shown = {n: [(p, ms) for p, ms in curve if p < 100] for n, curve in curves.items()}
    far = max((_nines(p) for curve in shown.values() for p, _ in curve), default=1.0)
    top = max((ms for curve in shown.values() for _, ms in curve), default=1.0)
    labelled = [(_nines(p), f"{p:g} %") for p in (0.0, 50.0, 90.0, 99.0, 99.9, 99.99)]
    x = _x_axis(0.0, far, [mark for mark in labelled if mark[0] <= far * 1.001])
    y = _y_axis(top)
    drawn = []
    for colour, (name, curve) in zip(COLOURS, shown.items(), strict=False):
        points = " ".join(f"{x.at(_nines(p)):.1f},{y.at(ms):.1f}" for p, ms in curve)
        line = f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2">'
        drawn.append(f"{line}<title>{escape(name)}</title></polyline>")
    return _svg(x, y, drawn, "share of predictions", "ms") + legend(list(shown))


def _nines(percentile: float) -> float:
    return -math.log10(1 - percentile / 100)


def over_time(series: Sequence[tuple[float, float]], limit_ms: float | None) -> str:
    """Points of (seconds, ms), and a line at the deadline if there is one.

    Of more than can be seen, each is the highest of its neighbours: no outlier is lost.
    """
    width = -(-len(series) // MAX_POINTS) or 1
    kept = [
        max(series[i : i + width], key=lambda point: point[1]) for i in range(0, len(series), width)
    ]
    end_s = max((t for t, _ in kept), default=1.0)
    top = max([ms for _, ms in kept] + ([limit_ms] if limit_ms else []), default=1.0)
    marks = [mark for mark in nice_marks(end_s) if mark[0] <= end_s]
    x, y = _x_axis(0.0, end_s, marks), _y_axis(top)
    drawn = [
        f'<circle cx="{x.at(t):.1f}" cy="{y.at(ms):.1f}" r="1.8" fill="{COLOURS[0]}"/>'
        for t, ms in kept
    ]
    if limit_ms:
        at = y.at(limit_ms)
        drawn.append(
            f'<line x1="{LEFT_PX}" x2="{WIDTH_PX - RIGHT_PX}" y1="{at:.1f}" y2="{at:.1f}"'
            f' stroke="{COLOURS[5]}" stroke-dasharray="6 4"/>'
        )
    note = f'<p class="soft">dashed: {limit_ms:g} ms, the deadline</p>' if limit_ms else ""
    return _svg(x, y, drawn, "seconds", "ms") + note


def lines(curves: Mapping[str, Sequence[tuple[float, float]]], x_name: str, y_name: str) -> str:
    """Lines with points through (x, y), from 0 to at least 1 on both axes."""
    points = [point for curve in curves.values() for point in curve]
    marks = nice_marks(max((x for x, _ in points), default=1.0))
    x, y = _x_axis(0.0, marks[-1][0], marks), _y_axis(max([1.0, *(y for _, y in points)]))
    drawn = []
    for colour, (name, curve) in zip(COLOURS, curves.items(), strict=False):
        way = " ".join(f"{x.at(a):.1f},{y.at(b):.1f}" for a, b in curve)
        line = f'<polyline points="{way}" fill="none" stroke="{colour}" stroke-width="2">'
        drawn.append(f"{line}<title>{escape(name)}</title></polyline>")
        for a, b in curve:
            dot = f'<circle cx="{x.at(a):.1f}" cy="{y.at(b):.1f}" r="3.5" fill="{colour}">'
            drawn.append(f"{dot}<title>{escape(f'{name}: {a:g}, {b:.3f}')}</title></circle>")
    return _svg(x, y, drawn, x_name, y_name) + legend(list(curves))


def load_curve(curves: Mapping[str, Sequence[tuple[float, float]]], limit_ms: float) -> str:
    """Curves of (pictures a second, ms), and a line at the deadline; both scales are decades."""
    points = [point for curve in curves.values() for point in curve]
    x = _decades([load for load, _ in points], (LEFT_PX, WIDTH_PX - RIGHT_PX))
    y = _decades([ms for _, ms in points] + [limit_ms], (HEIGHT_PX - BOTTOM_PX, TOP_PX))
    at = y.at(math.log10(limit_ms))
    drawn = [
        f'<line x1="{LEFT_PX}" x2="{WIDTH_PX - RIGHT_PX}" y1="{at:.1f}" y2="{at:.1f}"'
        f' stroke="{COLOURS[5]}" stroke-dasharray="6 4"><title>deadline</title></line>'
    ]
    for colour, (name, curve) in zip(COLOURS, curves.items(), strict=False):
        places = [(x.at(math.log10(load)), y.at(math.log10(ms))) for load, ms in curve]
        line = " ".join(f"{px:.1f},{py:.1f}" for px, py in places)
        drawn.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        drawn += [
            f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3.5" fill="{colour}">'
            f"<title>{escape(f'{name}: {ms:.2f} ms at {load:.0f}')}</title></circle>"
            for (px, py), (load, ms) in zip(places, curve, strict=True)
        ]
    return _svg(x, y, drawn, "pictures a second, of all cameras", "ms") + legend(list(curves))


def _decades(values: Sequence[float], pixels: tuple[float, float]) -> Axis:
    """An axis of the logarithms of values above 0, labelled at 1, 2 and 5 of each decade."""
    low, high = math.log10(min(values)), math.log10(max(values))
    low, high = low - 0.05, max(high, low + 0.3) + 0.05
    steps = [m * 10.0**p for p in range(math.floor(low), math.ceil(high) + 1) for m in (1, 2, 5)]
    marks = [(math.log10(s), f"{s:g}") for s in steps if low <= math.log10(s) <= high]
    return Axis(low=low, high=high, pixels=pixels, marks=marks)


def stacked_bars(bars: Mapping[str, Mapping[str, float]]) -> str:
    """One bar a row, of parts in ms that follow one another. All bars have the same parts."""
    row_px, left_px = 44, 170
    names = list(next(iter(bars.values()), {}))
    top = max((sum(parts.values()) for parts in bars.values()), default=1.0)
    marks = nice_marks(top)
    high = max(marks[-1][0], top * 1.06)  # there is a number behind each bar
    x = Axis(low=0, high=high, pixels=(left_px, WIDTH_PX - RIGHT_PX), marks=marks)
    height_px = TOP_PX + row_px * len(bars) + BOTTOM_PX
    base_px = height_px - BOTTOM_PX
    drawn = [_vertical(x.at(value), text, base_px) for value, text in marks]
    for row, (bar, parts) in enumerate(bars.items()):
        y_px, at = TOP_PX + row * row_px + 8, 0.0
        drawn.append(_text(left_px - 8, y_px + 18, bar, "end"))
        for colour, (name, ms) in zip(COLOURS, parts.items(), strict=False):
            width = x.at(at + ms) - x.at(at)
            title = f"<title>{escape(f'{bar}: {name} {ms:.3f} ms')}</title>"
            drawn.append(
                f'<rect x="{x.at(at):.1f}" y="{y_px}" width="{width:.1f}" height="28"'
                f' fill="{colour}">{title}</rect>'
            )
            at += ms
        told = f"{at:.3g}" if at < 1000 else f"{at:.0f}"
        drawn.append(_text(x.at(at) + 6, y_px + 18, told, "start"))
    drawn.append(_text((left_px + WIDTH_PX) / 2, height_px - 8, "ms", "middle"))
    return _frame(height_px, drawn) + legend(names)


def legend(names: Sequence[str]) -> str:
    """What each colour is."""
    items = [
        f'<span><i style="background:{colour}"></i>{escape(name)}</span>'
        for colour, name in zip(COLOURS, names, strict=False)
    ]
    return f'<p class="legend">{"".join(items)}</p>'


def _svg(x: Axis, y: Axis, drawn: Sequence[str], x_name: str, y_name: str) -> str:
    base_px = HEIGHT_PX - BOTTOM_PX
    parts = [_vertical(x.at(value), text, base_px) for value, text in x.marks]
    for value, text in y.marks:
        at = y.at(value)
        ends = f'x1="{LEFT_PX}" x2="{WIDTH_PX - RIGHT_PX}" y1="{at:.1f}" y2="{at:.1f}"'
        parts.append(f'<line class="grid" {ends}/>')
        parts.append(_text(LEFT_PX - 8, at + 4, text, "end"))
    parts.append(_text((LEFT_PX + WIDTH_PX) / 2, HEIGHT_PX - 6, x_name, "middle"))
    parts.append(_text(LEFT_PX - 8, TOP_PX - 12, y_name, "end"))
    return _frame(HEIGHT_PX, [*parts, *drawn])


def _vertical(at: float, text: str, base_px: float) -> str:
    line = f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP_PX}" y2="{base_px}"/>'
    return line + _text(at, base_px + 18, text, "middle")


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _frame(height_px: float, parts: Sequence[str]) -> str:
    box = f'viewBox="0 0 {WIDTH_PX} {height_px:g}"'
    return f'<svg {box} role="img">{"".join(parts)}</svg>'
