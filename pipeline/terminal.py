"""The demo's live view in the terminal, and its summary."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pipeline.prediction import Prediction
from pipeline.record import outcome
from pipeline.sample import Health
from pipeline.summary import Summary

REFRESH_HZ = 4
TOP_LABELS = 4
BAR_WIDTH = 30


class Screen(Console):
    """A console that leaves it to the command what happens when its reader has hung up."""

    def on_broken_pipe(self) -> None:
        """Called while a BrokenPipeError is handled; rich would exit with code 1."""
        raise BrokenPipeError


class View:
    """Draws the newest prediction; call it as often as you like, it draws four times a second."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False)
        self._next_s = 0.0
        self._newest: deque[Prediction] = deque(maxlen=2 * REFRESH_HZ)

    def __enter__(self) -> View:
        self._live.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._live.__exit__(*error)
        if not self._live.console.is_terminal:
            self._live.console.line()  # rich ends its last line on terminals only

    def __call__(self, summary: Summary, health: Mapping[str, Health]) -> None:
        """Draw, if it is time to."""
        now_s = time.monotonic()
        if now_s < self._next_s:
            return
        self._next_s = now_s + 1 / REFRESH_HZ
        prediction = summary.newest
        if prediction is None:
            self._live.update(Text("starting..."), refresh=True)
            return
        self._newest.append(prediction)
        parts = (self._streams(prediction), _labels(prediction), _latency(summary))
        self._live.update(Group(*parts), refresh=True)

    def _streams(self, prediction: Prediction) -> Table:
        table = Table("stream", "rate Hz", "age ms", "weight", "", box=None, pad_edge=False)
        for stream in (*prediction.inputs, *prediction.missing):
            if stream in prediction.missing:
                table.add_row(stream, "", "", "", Text("missing", style="red"))
                continue
            age_ms, weight = prediction.ages_ns[stream] / 1e6, prediction.weights[stream]
            rate = f"{rate_hz(self._newest, stream):.1f}"
            table.add_row(stream, rate, f"{age_ms:.0f}", f"{weight:.2f}", _bar(weight, "cyan"))
        return table


def rate_hz(predictions: Iterable[Prediction], stream: str) -> float:
    """Samples a second between the ticks; where a sensor started anew, it counts from 0 again."""
    seen = [(p.tick_ns, p.inputs[stream][-1][0]) for p in predictions if stream in p.inputs]
    steps = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(seen) if b[1] >= a[1]]
    took_ns = sum(ns for ns, _ in steps)
    return sum(n for _, n in steps) * 1e9 / took_ns if took_ns else 0.0


def print_summary(console: Console, result: Mapping[str, Any]) -> None:
    """Print what a run did."""
    accuracy = result["accuracy"]
    scored = f"{accuracy:.1%} of {result['scored']} scored right" if accuracy is not None else ""
    console.print(f"{result['predictions']} predictions  {scored}")
    latency = "  ".join(f"{name} {ms:.1f}" for name, ms in result["latency_ms"].items())
    console.print(f"tick to prediction, ms: {latency}")
    for stream, ledger in result["streams"].items():
        drops = ", ".join(f"{n} {reason}" for reason, n in ledger["dropped"].items()) or "none"
        counts = f"{ledger['captured']} captured = {ledger['delivered']} delivered"
        console.print(f"{stream}: {counts} + dropped: {drops}", highlight=False)
    if "recording" in result:
        console.print(outcome.text(result["recording"]), highlight=False, soft_wrap=True)


def _labels(prediction: Prediction) -> Table:
    table = Table("situation", "score", "", box=None, pad_edge=False)
    ranked = sorted(prediction.scores.items(), key=lambda pair: -pair[1])
    for label, score in ranked[:TOP_LABELS]:
        table.add_row(label, f"{score:.2f}", _bar(score, "green"))
    for head, value in prediction.outputs.items():
        if isinstance(value, str):
            table.add_row(head, "", Text(value))
    return table


def _latency(summary: Summary) -> Text:
    latency = "  ".join(f"{name} {ms:.1f} ms" for name, ms in summary.latency_ms.items())
    accuracy = f"   accuracy {summary.accuracy:.1%}" if summary.accuracy is not None else ""
    return Text(f"tick to prediction: {latency}{accuracy}")


def _bar(share: float, style: str) -> Text:
    return Text("#" * round(share * BAR_WIDTH), style=style)
