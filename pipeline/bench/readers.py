"""`sensorium bench readers`: what a stopped and a killed reader do to the others and to the writer.

This process publishes VGA pictures at a paced rate to N reader processes, which tell the one-way
latency of each. In each round all readers run first; then one of them is stopped (SIGSTOP) and, if
there are more than two, another is killed. The ratios compare the others, and the writer, between
the two halves of the same round.
"""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.bus.publisher import Publisher
from pipeline.bus.subscriber import Subscriber
from pipeline.error import SensoriumError
from pipeline.sample import Frame
from pipeline.stream import Stream

STREAM = "camera/bench"
RATE_HZ = 100.0
SHAPE = (480, 640, 3)
READERS = (1, 2, 4)
WARM_UP = 20
TIMEOUT_S = 10.0
_ARRIVAL = struct.Struct("<QQ")  # seq, ns on the way


@dataclass
class Reader:
    """One reader process, and the pipe on which it tells {seq: ns on the way}."""

    endpoint: str
    latency_ns: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._out, theirs = os.pipe()
        os.set_blocking(self._out, False)
        command = [sys.executable, "-m", "pipeline.bench.readers", self.endpoint, str(theirs)]
        self.process = subprocess.Popen(command, pass_fds=[theirs])
        os.close(theirs)

    def collect(self) -> None:
        """Take in what it has told."""
        try:
            while data := os.read(self._out, 4096 * _ARRIVAL.size):
                self.latency_ns.update(_ARRIVAL.iter_unpack(data))
        except BlockingIOError:
            return

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._out)


@dataclass(frozen=True)
class Half:
    """One half of a round: {reader: p99 in us} of those that run, and the writer's in us."""

    readers_us: dict[int, float]
    writer_us: float


def bench_readers(n_rounds: int, n_frames: int) -> dict[str, Any]:
    """Run; {"rows": [...]}, one for each number of readers, with medians over the rounds."""
    rows = []
    for n_readers in READERS:
        rounds = [_round(n_readers, n_frames) for _ in range(n_rounds)]
        row: dict[str, Any] = {"readers": n_readers}
        for name in rounds[0]:
            values = sorted(found[name] for found in rounds)
            row[name] = round(float(np.median(values)), 3)
            row.setdefault("spread", {})[name] = [round(v, 3) for v in (values[0], values[-1])]
        rows.append(row)
    return {"rounds": n_rounds, "frames": n_frames, "rows": rows}


def _round(n_readers: int, n_frames: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        endpoint = f"ipc://{folder}/bench.ipc"
        with Publisher(endpoint) as publisher:
            readers = [Reader(endpoint) for _ in range(n_readers)]
            try:
                _until_all_read(publisher, readers)
                before = _half(publisher, readers, n_frames)
                memory_before = _resident_bytes()
                stopped = readers[1:2]
                for reader in stopped:
                    reader.process.send_signal(signal.SIGSTOP)
                for reader in readers[2:3]:
                    reader.process.kill()
                others = readers[:1] + readers[3:]
                after = _half(publisher, others, n_frames)
                grown = _resident_bytes() - memory_before
            finally:
                for reader in readers:
                    reader.close()
    ratios = [after.readers_us[id(r)] / before.readers_us[id(r)] for r in others]
    return {
        "p99_us": float(np.median([before.readers_us[id(r)] for r in others])),
        "others_p99_ratio": float(np.median(ratios)),
        "writer_p99_us": before.writer_us,
        "writer_p99_ratio": after.writer_us / before.writer_us,
        "grown_mb": grown / 2**20,
    }


def _until_all_read(publisher: Publisher, readers: Sequence[Reader]) -> None:
    deadline_s = time.monotonic() + TIMEOUT_S
    while not all(len(reader.latency_ns) >= WARM_UP for reader in readers):
        if time.monotonic() > deadline_s:
            raise SensoriumError("a reader of the benchmark got nothing")
        publisher.wait_for_subscriber(STREAM, 0.01)
        _send(publisher)
        for reader in readers:
            reader.collect()


def _half(publisher: Publisher, readers: Sequence[Reader], n_frames: int) -> Half:
    """Send so many pictures to those that run."""
    first, writer_us, due_s = publisher.counts[STREAM], [], time.monotonic()
    for _ in range(n_frames):
        due_s += 1 / RATE_HZ
        time.sleep(max(0.0, due_s - time.monotonic()))
        writer_us.append(_send(publisher))
        for reader in readers:
            reader.collect()
    time.sleep(2 / RATE_HZ)
    found = {}
    for reader in readers:
        reader.collect()
        us = [ns / 1000 for seq, ns in reader.latency_ns.items() if seq >= first]
        if len(us) < n_frames:
            raise SensoriumError(f"a reader lost {n_frames - len(us)} of {n_frames} pictures")
        found[id(reader)] = float(np.percentile(us, 99))
    return Half(found, float(np.percentile(writer_us, 99)))


PIXELS = np.random.default_rng(1).integers(0, 256, SHAPE, np.uint8)


def _send(publisher: Publisher) -> float:
    """Send one picture; microseconds that it took."""
    now_ns = time.monotonic_ns()
    publisher.send(
        Frame(stream=STREAM, seq=0, t_capture_ns=now_ns, t_publish_ns=now_ns, pixels=PIXELS)
    )
    return (time.monotonic_ns() - now_ns) / 1000


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def text(result: Mapping[str, Any]) -> str:
    """The result as a table."""
    lines = [
        f"medians of {result['rounds']} rounds of {result['frames']} VGA pictures at"
        f" {RATE_HZ:g} Hz; one reader stopped, of four another killed",
        f"{'readers':>7} {'p99 us':>8} {'others p99':>11} {'writer p99 us':>14} {'ratio':>6}"
        f" {'grown MB':>9}",
    ]
    for row in result["rows"]:
        lines.append(
            f"{row['readers']:7d} {row['p99_us']:8.0f} {row['others_p99_ratio']:11.2f}"
            f" {row['writer_p99_us']:14.0f} {row['writer_p99_ratio']:6.2f} {row['grown_mb']:9.2f}"
        )
    return "\n".join(lines)


def read(endpoint: str, out: int) -> None:
    """The reading process: tells each arrival until it is killed."""
    subscriber = Subscriber({STREAM: (endpoint, Stream(source="", bound=4096))})
    while True:
        for sample in subscriber.receive(1000):
            if isinstance(sample, Frame):
                int(sample.pixels.reshape(-1)[::4096].sum())
                if sample.intact():
                    ns = time.monotonic_ns() - sample.t_capture_ns
                    os.write(out, _ARRIVAL.pack(sample.seq, ns))


if __name__ == "__main__":
    read(sys.argv[1], int(sys.argv[2]))
