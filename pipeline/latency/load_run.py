"""A node of its own under a synthetic load, and what its predictions say of each tick."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from pipeline import boot
from pipeline.child import Stop, write_config
from pipeline.config import Config
from pipeline.error import SensoriumError
from pipeline.latency.load import Plan, Sent
from pipeline.prediction import Prediction
from pipeline.summary import Summary
from pipeline.supervisor import Supervisor

STEP_MS = 50
START_LIMIT_S = 60.0
END_LIMIT_S = 5.0
Nanoseconds: TypeAlias = "npt.NDArray[np.int64]"


@dataclass(slots=True)
class Ticks:
    """One row a prediction, in the order in which they were made."""

    tick_ns: list[int] = field(default_factory=list)
    emit_ns: list[int] = field(default_factory=list)
    seq: list[int] = field(default_factory=list)
    encode_every: list[int] = field(default_factory=list)
    missing: list[list[str]] = field(default_factory=list)

    def add(self, prediction: Prediction) -> None:
        """Take in a prediction."""
        self.tick_ns.append(prediction.tick_ns)
        self.emit_ns.append(prediction.t_emit_ns)
        self.seq.append(prediction.seq)
        self.encode_every.append(prediction.encode_every)
        self.missing.append(prediction.missing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What came of one run: the ticks, what was sent, and the books of the node."""

    config: Config
    ticks: Ticks
    sent: Sent
    result: dict[str, Any]

    def rows(self, since_ns: int, until_ns: int) -> slice:
        """The predictions whose ticks lie between two times."""
        first, last = np.searchsorted(self.ticks.tick_ns, (since_ns, until_ns))
        return slice(int(first), int(last))


def run_load(config: Config, plan: Plan, stop: Stop) -> Loaded:
    """Start the node, send the load, end both. Raises what a run raises."""
    with tempfile.TemporaryDirectory(prefix="load-") as folder:
        config = msgspec.structs.replace(config, run_dir=f"{folder}/run")
        paths = Path(folder) / "config.json", Path(folder) / "plan.json"
        write_config(config, paths[0])
        paths[1].write_bytes(msgspec.json.encode(plan))
        command = boot.command("pipeline.latency.load", list(map(str, paths)))
        supervisor, ticks = Supervisor(config), Ticks()
        try:
            supervisor.start()
            # The sender comes to a run directory that is the supervisor's already.
            with subprocess.Popen(command, stdout=subprocess.PIPE) as sender:
                try:
                    _watch(supervisor, sender, ticks, stop)
                    told, _ = sender.communicate(timeout=END_LIMIT_S)
                finally:
                    sender.terminate()
        finally:
            supervisor.stop()
    if sender.returncode or not told:
        raise SensoriumError("the load could not be sent; see above")
    node = supervisor.health.get("node")
    return Loaded(
        config=config,
        ticks=ticks,
        sent=msgspec.json.decode(told, type=Sent),
        result=Summary().result(list(config.streams), node.counters if node else {}),
    )


def _watch(
    supervisor: Supervisor, sender: subprocess.Popen[bytes], ticks: Ticks, stop: Stop
) -> None:
    begun_s = time.monotonic()
    while sender.poll() is None:
        if stop.is_set():
            raise SensoriumError("stopped before the load was over")
        for prediction in supervisor.step(STEP_MS):
            ticks.add(prediction)
        if not ticks.seq and time.monotonic() > begun_s + START_LIMIT_S:
            raise SensoriumError(f"no prediction came within {START_LIMIT_S:g} s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The ticks of a time, those that have no prediction too: they are late, whenever they were.

    `latency_ms` holds each, late ones until the next prediction came.
    """

    latency_ms: npt.NDArray[np.float64]
    n_ticks: int
    n_left_out: int
    n_late: int

    @property
    def late_share(self) -> float:
        """Of all ticks, those that were later than the deadline, or left out."""
        return (self.n_late + self.n_left_out) / self.n_ticks if self.n_ticks else 1.0

    def percentile_ms(self, percentile: float) -> float:
        """Of all ticks."""
        return float(np.percentile(self.latency_ms, percentile)) if self.n_ticks else float("nan")


def span_of(loaded: Loaded, since_ns: int, until_ns: int) -> Span:
    """The ticks from one time to another."""
    rows, fusion = loaded.rows(since_ns, until_ns), loaded.config.fusion
    tick, emit, seq = (
        np.array(column[rows], np.int64)
        for column in (loaded.ticks.tick_ns, loaded.ticks.emit_ns, loaded.ticks.seq)
    )
    period_ns = round(1e9 / loaded.config.tick_hz)
    own_ms = (emit - tick) / 1e6
    left_out_ms = list(_left_out_ms(tick, emit, seq, period_ns))
    return Span(
        latency_ms=np.concatenate([own_ms, left_out_ms]),
        n_ticks=len(own_ms) + len(left_out_ms),
        n_left_out=len(left_out_ms),
        n_late=int((own_ms > (fusion.deadline_ms or 0.0)).sum()),
    )


def _left_out_ms(
    tick: Nanoseconds, emit: Nanoseconds, seq: Nanoseconds, period_ns: int
) -> Sequence[float]:
    """How late each tick without a prediction was when the next prediction came.

    Where a prediction was made that this process did not see, nothing is known.
    """
    found: list[float] = []
    steps = np.rint(np.diff(tick) / period_ns).astype(np.int64)
    for at in np.flatnonzero((steps > 1) & (np.diff(seq) == 1)):
        late_ns = emit[at + 1] - tick[at] - np.arange(1, steps[at]) * period_ns
        found.extend(late_ns / 1e6)
    return found
