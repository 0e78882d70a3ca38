"""A synthetic load: pictures and sound that cost their sender next to nothing.

One process publishes all streams, each on the endpoint of its sensor. A picture is what its slot of
the ring held before, so that no copying stands beside the node that is measured.

Started with the arguments CONFIG PLAN; ends with one line of JSON, see Sent.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct

from pipeline import child
from pipeline.child import Stop
from pipeline.config import Config
from pipeline.loader import check
from pipeline.replay.bus import Outlets
from pipeline.sample import AudioChunk, Frame, Reading, Sample, TextEvent
from pipeline.stream import kind_of

CHUNK_NS = 100_000_000
TEXT_NS = 2_000_000_000
READING_NS = 200_000_000
SAMPLE_HZ = 16_000
CHUNK_SAMPLES = SAMPLE_HZ * CHUNK_NS // 10**9
MAX_WAIT_S = 0.2
MAX_BEHIND_NS = 50_000_000  # what was due before that is not sent any more
NAME = "load"


class Load(Struct, frozen=True, kw_only=True):
    """So many sensors; each picture comes `rate_hz` times a second."""

    cameras: int
    microphones: int
    rate_hz: float
    size_px: tuple[int, int]

    @property
    def pictures_per_s(self) -> float:
        """Of all cameras."""
        return self.cameras * self.rate_hz

    def __str__(self) -> str:
        width, height = self.size_px
        return (
            f"{counted(self.cameras, 'camera')} at {self.rate_hz:.0f} Hz ({width}x{height}),"
            f" {counted(self.microphones, 'microphone')}"
        )


def counted(n: int, what: str) -> str:
    """ "1 camera", "2 cameras"."""
    return f"{n} {what}{'s' if n != 1 else ''}"


class Phase(Struct, frozen=True, kw_only=True):
    """For so long each camera gives `rate_hz` pictures a second."""

    seconds: float
    rate_hz: float


class Plan(Struct, frozen=True, kw_only=True):
    """What is sent: pictures of one size, in phases."""

    size_px: tuple[int, int]
    phases: list[Phase]


class Sent(Struct, frozen=True, kw_only=True):
    """What was sent: `begun_ns` is when each phase began, and when the last one ended.

    `late` pictures could not be sent in time: the load was less than was asked for.
    """

    begun_ns: list[int]
    pictures: int
    late: int


def config_of(load: Load, *, deadline_ms: float, bundle: str, governor: bool = False) -> Config:
    """A run in which each picture of a camera meets a tick of its own; all sensors are fused."""
    table = {
        "name": NAME,
        "camera": _streams("c", load.cameras, {"resize": list(load.size_px)}),
        "microphone": _streams("m", load.microphones, {}),
        "text": _streams("t", 1, {}),
        "readings": _streams("r", 1, {}),
        "fusion": {
            "bundle": bundle,
            "tick_hz": load.rate_hz,
            "deadline_ms": deadline_ms,
            "governor": governor,
            "inputs": {
                "image": [f"camera/c{i + 1}" for i in range(load.cameras)],
                "audio": [f"microphone/m{i + 1}" for i in range(load.microphones)],
            },
        },
    }
    return check(table, "the load")


def _streams(prefix: str, n: int, keys: dict[str, object]) -> dict[str, object]:
    return {f"{prefix}{i + 1}": {"source": "external", **keys} for i in range(n)}


@dataclass(slots=True)
class _Sender:
    """When each stream is due, and what it sends then."""

    outlets: Outlets
    size_px: tuple[int, int]
    period_ns: int
    _due: list[tuple[int, str]] = field(default_factory=list)
    pictures: int = 0
    late: int = 0

    def begin(self, streams: list[str], period_ns: int, now_ns: int) -> None:
        """A phase: no two cameras see at the same moment, and the others go on as they were."""
        cameras = [stream for stream in streams if kind_of(stream) == "camera"]
        due_ns = {stream: due for due, stream in self._due}
        for n, stream in enumerate(streams):
            due_ns.setdefault(stream, now_ns + n * 1_000_000)
        for n, stream in enumerate(cameras):
            due_ns[stream] = now_ns + n * period_ns // len(cameras)
        self.period_ns = period_ns
        self._due = [(due, stream) for stream, due in due_ns.items()]
        heapify(self._due)

    def next_ns(self) -> int:
        return self._due[0][0]

    def send(self) -> None:
        due_ns, stream = heappop(self._due)
        kind, now_ns = kind_of(stream), time.monotonic_ns()
        if kind != "camera":
            self.outlets.send(_small(stream, due_ns))
            period_ns = {"microphone": CHUNK_NS, "text": TEXT_NS}.get(kind, READING_NS)
            heappush(self._due, (due_ns + period_ns, stream))
            return
        n_behind = 0
        if now_ns - due_ns > MAX_BEHIND_NS:
            n_behind = (now_ns - due_ns) // self.period_ns
        else:
            self.outlets.send(self._picture(stream, now_ns))
            self.pictures += 1
        self.late += n_behind
        heappush(self._due, (due_ns + max(1, n_behind) * self.period_ns, stream))

    def _picture(self, stream: str, now_ns: int) -> Frame:
        """What a slot of the ring held before, which nobody looks at, with a new first row."""
        width, height = self.size_px
        pixels, memory = self.outlets.loan(stream, (height, width, 3))
        pixels[0] = self.pictures % 251
        return Frame(
            stream=stream,
            seq=0,
            t_capture_ns=now_ns,
            t_publish_ns=now_ns,
            pixels=pixels,
            memory=memory,
        )


def _small(stream: str, due_ns: int) -> Sample:
    """Sound without a gap, a text, a reading."""
    kind = kind_of(stream)
    if kind == "microphone":
        noise = np.random.default_rng(due_ns % 1000).integers(-999, 999, (CHUNK_SAMPLES, 1))
        return AudioChunk(
            stream=stream,
            seq=0,
            t_capture_ns=due_ns - CHUNK_NS,
            t_publish_ns=due_ns,
            pcm=noise.astype(np.int16),
            rate_hz=SAMPLE_HZ,
        )
    if kind == "text":
        return TextEvent(
            stream=stream, seq=0, t_capture_ns=due_ns, t_publish_ns=due_ns, text="door open"
        )
    return Reading(
        stream=stream,
        seq=0,
        t_capture_ns=due_ns,
        t_publish_ns=due_ns,
        values=np.array([21.5], np.float32),
        names=("temperature",),
        units=("°C",),
    )


def send(config: Config, plan: Plan, stop: Stop) -> Sent:
    """Publish all phases, or until asked to stop. Raises BusError."""
    outlets = Outlets(config, list(config.streams))
    begun_ns: list[int] = []
    sender = _Sender(outlets, plan.size_px, 1)
    try:
        outlets.wait_for_readers(stop)
        outlets.report("running")
        until_ns = time.monotonic_ns()
        for phase in plan.phases:
            begun_ns.append(until_ns)
            sender.begin(list(config.streams), round(1e9 / phase.rate_hz), until_ns)
            until_ns += int(phase.seconds * 1e9)
            _send_until(sender, until_ns, stop)
    finally:
        outlets.close()
    return Sent(begun_ns=[*begun_ns, until_ns], pictures=sender.pictures, late=sender.late)


def _send_until(sender: _Sender, until_ns: int, stop: Stop) -> None:
    while not stop.is_set() and (now_ns := time.monotonic_ns()) < until_ns:
        wait_s = (min(sender.next_ns(), until_ns) - now_ns) / 1e9
        if wait_s > 0:
            stop.wait(min(wait_s, MAX_WAIT_S))
            sender.outlets.beat()
        else:
            sender.send()


def main() -> int:
    """The entry of the process."""
    config = Path(sys.argv[1])
    plan = msgspec.json.decode(Path(sys.argv[2]).read_bytes(), type=Plan)

    def work(stop: Stop) -> None:
        sent = send(child.read_config(config), plan, stop)
        sys.stdout.write(msgspec.json.encode(sent).decode() + "\n")

    return child.run(NAME, work)


if __name__ == "__main__":
    sys.exit(main())
