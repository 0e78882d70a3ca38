"""`sensorium bench transport`: the bus beside raw pyzmq and beside the bounds, in one run.

A child process sends, this one receives. Paced latency: all lanes are open at once and take turns
message by message, in an order that is drawn anew each round. Then, in turns of some messages, one
lane at a time: CPU time of both processes a paced message, and the rate at full speed with at most
`WINDOW` messages under way. Every message is compared with the known bytes.
"""

from __future__ import annotations

import json
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.bench.lane import (
    PAYLOADS,
    RECEIVERS,
    SENDERS,
    TIMEOUT_MS,
    Payload,
    ReceiveLane,
    SendLane,
    lanes,
    touch,
)
from pipeline.bus.publisher import RING_SLOTS
from pipeline.error import SensoriumError

WINDOW = RING_SLOTS  # one more, and the ring would overwrite what is being read
BATCH = 2  # so many messages are acknowledged at once: the measuring must not be what is measured
WARM_UP = 5
TURNS = 5
MODES = ("copy", "loan")
BOUND = {"copy": "wake+copy", "loan": "wake"}


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many messages a lane gets: interleaved, and then in each of `TURNS` turns of its own."""

    paced: int = 45
    alone: int = 12


class Remote:
    """The sending process, and what it is told to do."""

    def __init__(self, folder: Path) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ours.settimeout(4 * TIMEOUT_MS / 1000)
        fd = theirs.fileno()
        command = [sys.executable, "-m", "pipeline.bench.transport", str(folder), str(fd)]
        self._process = subprocess.Popen(command, pass_fds=[fd])
        theirs.close()

    def tell(self, **command: Any) -> None:
        self._ours.send(json.dumps(command).encode())

    def answer(self) -> Any:
        """The child's reply. Raises SensoriumError if it has died."""
        reply = self._ours.recv(1024)
        if not reply:
            raise SensoriumError("the sending process of the benchmark died; see above")
        return json.loads(reply)

    def acknowledge(self) -> None:
        self._ours.send(b"1")

    def close(self) -> None:
        self._ours.close()
        self._process.terminate()
        self._process.wait()


def bench_transport(n_runs: int, sizes: Sizes) -> dict[str, Any]:
    """Run; {"rows": [...]} with medians over the runs and, in `spread`, their least and most."""
    runs = [_run(sizes) for _ in range(n_runs)]
    return {"runs": n_runs, "rows": [_merge(rows) for rows in zip(*runs, strict=True)]}


def _run(sizes: Sizes) -> list[dict[str, Any]]:
    rows = []
    for payload in PAYLOADS.values():
        with tempfile.TemporaryDirectory() as folder:
            rows += _bench_payload(Path(folder), payload, sizes)
    return rows


def _bench_payload(folder: Path, payload: Payload, sizes: Sizes) -> list[dict[str, Any]]:
    names = lanes(payload)
    receivers = {name: RECEIVERS[name](folder, payload) for name in names}
    remote = Remote(folder)
    try:
        remote.tell(do="open", payload=payload.name)
        remote.answer()
        counting = Counting(payload)
        latency_us = _paced(remote, receivers, counting, sizes)
        alone = [name for name in names if not name.startswith("wake")]
        cpu_s = _in_turns(alone, lambda n: _cost(remote, n, receivers[n], counting, sizes.alone))
        period_s = _in_turns(alone, lambda n: _flood(remote, n, receivers[n], counting))
    finally:
        remote.close()
        for receiver in receivers.values():
            receiver.close()
    measured = Measured(payload, latency_us, cpu_s, period_s, counting.lost)
    return [_row(measured, mode) for mode in MODES if mode in names]


class Counting:
    """Compares each message with what it must hold, outside the measured time."""

    def __init__(self, payload: Payload) -> None:
        self.payload, self.lost = payload, 0
        self._source = payload.source.reshape(-1)
        self._sum = touch(self._source)

    def check(self, total: int, array: Any, *, whole: bool = True) -> None:
        wrong = total != self._sum
        if whole and not wrong:
            wrong = not np.array_equal(array.reshape(-1), self._source)
        self.lost += wrong


def _paced(
    remote: Remote, receivers: Mapping[str, ReceiveLane], counting: Counting, sizes: Sizes
) -> dict[str, list[float]]:
    """All lanes in turn: microseconds from just before the send to the summed array."""
    rng = np.random.default_rng(time.monotonic_ns())
    rounds = [list(rng.permutation(list(receivers))) for _ in range(sizes.paced + WARM_UP)]
    order = [str(name) for names in rounds for name in names]
    found: dict[str, list[float]] = {name: [] for name in receivers}
    for start in range(0, len(order), 50):  # a command must fit in a packet
        part = order[start : start + 50]
        remote.tell(do="paced", order=part, hz=counting.payload.rate_hz)
        for name in part:
            stamp_ns, total, array = receivers[name].receive()
            found[name].append((time.monotonic_ns() - stamp_ns) / 1000)
            counting.check(total, array)
        remote.answer()
    return {name: us[WARM_UP:] for name, us in found.items()}


def _in_turns(names: Sequence[str], measure: Callable[[str], float]) -> dict[str, float]:
    """The mean of what each lane costs; in turns, as the machine is not the same all the time."""
    turns = [{name: measure(name) for name in names} for _ in range(TURNS)]
    return {name: float(np.mean([turn[name] for turn in turns])) for name in names}


def _cost(remote: Remote, name: str, receiver: ReceiveLane, counting: Counting, n: int) -> float:
    """CPU seconds a message, of both processes, with one lane at its pace."""
    before_s = _cpu_s()
    remote.tell(do="paced", order=[name] * n, hz=counting.payload.rate_hz)
    for _ in range(n):
        _, total, array = receiver.receive()
        counting.check(total, array, whole=False)
    return (float(remote.answer()) + _cpu_s() - before_s) / n


def _flood(remote: Remote, name: str, receiver: ReceiveLane, counting: Counting) -> float:
    """Seconds a message with at most WINDOW under way."""
    n = counting.payload.n_flood
    remote.tell(do="flood", lane=name, n=n)
    for index in range(n):
        _, total, array = receiver.receive()
        counting.check(total, array, whole=False)
        if index % BATCH == BATCH - 1:
            remote.acknowledge()
    return float(remote.answer()) / n


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


@dataclass(frozen=True, slots=True)
class Measured:
    """All that one run found for a payload."""

    payload: Payload
    latency_us: Mapping[str, Sequence[float]]
    cpu_s: Mapping[str, float]
    period_s: Mapping[str, float]
    lost: int


def _row(measured: Measured, mode: str) -> dict[str, Any]:
    p50 = {name: float(np.median(us)) for name, us in measured.latency_us.items()}
    return {
        "payload": measured.payload.name,
        "mode": mode,
        "p50_us": p50[mode],
        "p99_us": float(np.percentile(measured.latency_us[mode], 99)),
        "pyzmq_p50_us": p50["pyzmq"],
        "bound_p50_us": p50[BOUND[mode]],
        "p50_vs_pyzmq": p50[mode] / p50["pyzmq"],
        "p50_vs_bound": p50[mode] / p50[BOUND[mode]],
        "rate_hz": 1 / measured.period_s[mode],
        "rate_vs_pyzmq": measured.period_s["pyzmq"] / measured.period_s[mode],
        "cpu_ms": 1000 * measured.cpu_s[mode],
        "cpu_vs_pyzmq": measured.cpu_s[mode] / measured.cpu_s["pyzmq"],
        "lost": measured.lost,
    }


def _merge(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The medians of one row over the runs; `spread` holds the least and the most of ratios."""
    merged: dict[str, Any] = {key: rows[0][key] for key in ("payload", "mode")}
    for key in rows[0]:
        if key == "lost":
            merged[key] = sum(row[key] for row in rows)
        elif key not in merged:
            merged[key] = round(float(np.median([row[key] for row in rows])), 3)
    ratios = [key for key in rows[0] if "_vs_" in key]
    merged["spread"] = {
        key: [round(f(row[key] for row in rows), 3) for f in (min, max)] for key in ratios
    }
    return merged


def text(result: Mapping[str, Any]) -> str:
    """The result as a table."""
    lines = [f"medians of {result['runs']} runs; ratios to pyzmq ipc multipart of the same run"]
    lines.append(
        f"{'payload':8} {'mode':5} {'p50 us':>8} {'p99 us':>8} {'/pyzmq':>7} {'/bound':>7}"
        f" {'rate/s':>9} {'/pyzmq':>7} {'cpu ms':>7} {'/pyzmq':>7} {'lost':>5}"
    )
    for row in result["rows"]:
        lines.append(
            f"{row['payload']:8} {row['mode']:5} {row['p50_us']:8.0f} {row['p99_us']:8.0f}"
            f" {row['p50_vs_pyzmq']:7.2f} {row['p50_vs_bound']:7.2f} {row['rate_hz']:9.0f}"
            f" {row['rate_vs_pyzmq']:7.2f} {row['cpu_ms']:7.2f} {row['cpu_vs_pyzmq']:7.2f}"
            f" {row['lost']:5d}"
        )
    return "\n".join(lines)


class Sender:
    """The sending process: does what it is told over its socket."""

    def __init__(self, folder: Path, control: socket.socket) -> None:
        self._folder, self._control = folder, control
        self._lanes: dict[str, SendLane] = {}

    def serve(self) -> None:
        """Until the other side hangs up."""
        while packet := self._control.recv(4096):
            command = json.loads(packet)
            match command["do"]:
                case "open":
                    payload = PAYLOADS[command["payload"]]
                    for name in lanes(payload):
                        self._lanes[name] = SENDERS[name](self._folder, payload)
                    self._reply(0)
                case "paced":
                    self._reply(self._paced(command["order"], command["hz"]))
                case "flood":
                    self._reply(self._flood(command["lane"], command["n"]))
        for lane in self._lanes.values():
            lane.close()

    def _reply(self, value: float) -> None:
        self._control.send(json.dumps(value).encode())

    def _paced(self, order: Sequence[str], hz: float) -> float:
        """Returns the CPU seconds used."""
        before_s, due_s = _cpu_s(), time.monotonic()
        for name in order:
            due_s += 1 / hz
            self._lanes[name].prepare()
            time.sleep(max(0.0, due_s - time.monotonic()))
            self._lanes[name].send(time.monotonic_ns())
        return _cpu_s() - before_s

    def _flood(self, name: str, n: int) -> float:
        """Returns the seconds that it took until all was acknowledged."""
        lane, n_acknowledged, began_s = self._lanes[name], 0, time.monotonic()
        for n_sent in range(n):
            while n_sent - n_acknowledged >= WINDOW:
                n_acknowledged += self._acknowledged()
            lane.prepare()
            lane.send(time.monotonic_ns())
        while n_acknowledged < n:
            n_acknowledged += self._acknowledged()
        return time.monotonic() - began_s

    def _acknowledged(self) -> int:
        if not self._control.recv(1):
            sys.exit("the receiving process of the benchmark is gone")
        return BATCH


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[2])) as connection:
        Sender(Path(sys.argv[1]), connection).serve()
