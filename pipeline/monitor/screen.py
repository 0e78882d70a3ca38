"""One screen of a run: its processes, its streams, and why it predicts what it does."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pipeline.control import ProcessStatus
from pipeline.monitor.recent import Recent
from pipeline.monitor.table import HEAD, RIGHT, lost, printable, rows
from pipeline.monitor.usage import Meter
from pipeline.prediction import Prediction

TOP_LABELS = 4
BAR_WIDTH = 20
SHARE_WIDTH = len("missing: frozen")
BAD = "red"
STATE_STYLES = {"running": "green", "muted": "dim", "starting": "yellow", "ended": "dim"}


def screen(
    name: str, processes: Sequence[ProcessStatus], recent: Recent, meter: Meter
) -> RenderableType:
    """The whole screen; redraw it as often as there is something new."""
    newest = recent.newest
    parts: list[RenderableType] = [_head(name, recent), "", _processes(processes, meter), ""]
    if newest is None:
        return Group(*parts, Text("no prediction yet"))
    return Group(*parts, _streams(newest, processes, recent), "", _why(newest))


def _head(name: str, recent: Recent) -> Text:
    latency = "  ".join(f"{p} {ms:.1f}" for p, ms in recent.latency_ms.items() if p != "p95")
    return Text(f"{printable(name)}   tick to prediction, ms: {latency or '-'}")


def _table(head: Sequence[str], right: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in head:
        table.add_column(column, justify="right" if column in right else "left")
    return table


def _processes(processes: Sequence[ProcessStatus], meter: Meter) -> Table:
    shown = [n for n, column in enumerate(HEAD) if column != "lost"]  # among the streams
    table = _table([HEAD[n] for n in shown], RIGHT)
    for process, row in zip(processes, rows(processes, meter), strict=True):
        cells = [Text(row[n], overflow="ellipsis", no_wrap=True) for n in shown]
        cells[2].stylize(STATE_STYLES.get(process.state, BAD))
        table.add_row(*cells)
    return table


def _streams(newest: Prediction, processes: Sequence[ProcessStatus], recent: Recent) -> Table:
    node = next((p.counters for p in processes if p.name == "node"), {})
    ppm = {p.name: p.counters["drift_ppm"] for p in processes if "drift_ppm" in p.counters}
    right = ("age ms", "p50 ms", "p99 ms", "weight")
    table = _table(("stream", *right, "", "clock", "lost"), right)
    for column in (0, 1 + len(right)):  # a name, and why a stream is missing: on one line
        table.columns[column].no_wrap = True
    table.columns[1 + len(right)].min_width = SHARE_WIDTH
    for stream in (*newest.inputs, *newest.missing):
        drops = ", ".join(f"{n} {reason}" for reason, n in lost(stream, node).items())
        cells = _missing(newest, stream)
        if stream in newest.inputs:
            way_ms, weight = recent.stream_ms(stream), newest.weights.get(stream, 0.0)
            figures = (newest.ages_ns[stream] / 1e6, way_ms.get("p50", 0.0), way_ms.get("p99", 0.0))
            bar = Text("#" * round(weight * SHARE_WIDTH), style="cyan")
            cells = [*(Text(f"{ms:.1f}") for ms in figures), Text(f"{weight:.2f}"), bar]
        clock = Text(f"{ppm[stream]:+d} ppm" if stream in ppm else "-")
        table.add_row(Text(printable(stream)), *cells, clock, Text(printable(drops) or "-"))
    return table


def _missing(newest: Prediction, stream: str) -> list[Text]:
    why = ", ".join(newest.faults.get(stream, []))
    return [Text("-")] * 4 + [Text(f"missing: {why}" if why else "missing", style=BAD)]


def _why(newest: Prediction) -> RenderableType:
    table = _table(("prediction", "score", ""), ("score",))
    ranked = sorted(newest.scores.items(), key=lambda pair: -pair[1])
    for label, score in ranked[:TOP_LABELS]:
        bar = Text("#" * round(score * BAR_WIDTH), style="green")
        table.add_row(Text(printable(label)), Text(f"{score:.2f}"), bar)
    for head, value in newest.outputs.items():
        if isinstance(value, str):
            table.add_row(Text(printable(head)), Text("-"), Text(printable(value)))
    because = sorted(newest.weights.items(), key=lambda pair: -pair[1])
    said = [", ".join(f"{stream} {weight:.2f}" for stream, weight in because) or "nothing is alive"]
    said += [f"missing {stream}" for stream in newest.missing]
    said += [f"{stream} is {', '.join(names)}" for stream, names in newest.faults.items()]
    backend = newest.backend.get("active", "?")
    return Group(table, Text(printable(f"because of {'; '.join(said)}   [{backend}]")))
