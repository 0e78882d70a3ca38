"""Watches the samples of one stream as they are published, and names what is wrong with them.

A function of samples and times alone. It costs tens of microseconds a picture, after it was sent.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from pipeline.sample import AudioChunk, Frame, Reading, Sample
from pipeline.stream import Camera, Microphone, Readings, Stream, Text
from sensors.watchdog.gauge import Gauge
from sensors.watchdog.hold import Hold
from sensors.watchdog.pace import Pace, Stamps
from sensors.watchdog.picture import PictureEye
from sensors.watchdog.sound import SoundEar

# Seconds until a fault begins, and without any sign of it until it ends. Shorter than the 3 s in
# which one is to be named, longer than a hand before the lens; noise has pauses, as words have.
HOLDS_S: Mapping[str, tuple[float, float]] = {
    "black": (2.0, 0.5),
    "covered": (2.0, 0.5),
    "noise": (1.0, 1.0),
    "silent": (2.0, 0.3),
    "clipping": (1.0, 2.0),
    "stamps": (0.0, 2.0),  # one stamp that cannot be true is enough
    "slow": (0.5, 1.0),
    "fast": (0.5, 1.0),
}
FROZEN_END_S = 0.5
# A sensor's noise changes every picture of a device. A network camera encodes a still scene as
# "nothing has changed" until its next key picture, with some every 10 s. A file is as it is.
FROZEN_S, FROZEN_BY_NETWORK_S = 2.0, 12.0
# A process that was suspended, or that starts, has a backlog: its times and its rate are no fault.
PAUSE_NS = 1_500_000_000
GRACE_NS = 3_000_000_000
WHAT: Mapping[str, str] = {
    "frozen": "it delivers the same again and again",
    "black": "its picture is black",
    "covered": "its picture has no detail",
    "noise": "its picture is noise",
    "silent": "not a sound, not even noise",
    "clipping": "its sound is cut off: lower the gain",
    "stamps": "its capture times stop, run backwards or lie far from now",
    "slow": "less than half of the configured rate",
    "fast": "more than one and a half times the configured rate",
}


class Watchdog:
    """`faults` of one stream, from the samples that were given to `look`."""

    def __init__(self, line: Stream) -> None:
        self._line = line
        self._rate_hz = _rate_hz(line)
        self._seen_ns: int | None = None
        self.reset()

    def reset(self) -> None:
        """Begin anew: the device was lost, or this process suspended."""
        frozen_s = _frozen_s(self._line)
        self._eye = PictureEye(sees_frozen=math.isfinite(frozen_s))
        self._ear = SoundEar(hears_frozen=math.isfinite(frozen_s))
        self._gauge = Gauge()
        self._stamps = Stamps(are_events=isinstance(self._line, Text))
        self._pace = Pace(self._rate_hz) if self._rate_hz else None
        self._begun_ns: int | None = None
        holds_s = {**HOLDS_S, "frozen": (frozen_s, FROZEN_END_S)}
        self._holds = {fault: Hold(*times_s) for fault, times_s in holds_s.items()}

    @property
    def faults(self) -> list[str]:
        """What is wrong now, by name."""
        return sorted(fault for fault, hold in self._holds.items() if hold.begun)

    def beat(self, now_ns: int) -> None:
        """To be called at least twice a second, so that a pause of this process is noticed."""
        if self._seen_ns is not None and now_ns - self._seen_ns > PAUSE_NS:
            self.reset()
        self._seen_ns = now_ns
        if self._begun_ns is None:
            self._begun_ns = now_ns
        if self._pace and now_ns - self._begun_ns >= GRACE_NS:
            fault = self._pace.fault(now_ns)
            self._update(("slow", "fast"), (fault,), now_ns)

    def look(self, sample: Sample, now_ns: int) -> None:
        """Take in a sample that was published at `now_ns`."""
        self.beat(now_ns)
        if self._pace:
            self._pace.count(sample, now_ns)
        match sample:
            case Frame():
                found = self._eye.look(sample, now_ns)
                self._update(("frozen", "black", "covered", "noise"), found, now_ns)
            case AudioChunk():
                found = self._ear.look(sample, now_ns)
                self._update(("frozen", "silent", "clipping"), found, now_ns)
            case Reading():
                self._update(("frozen",), self._gauge.look(sample), now_ns)
        is_wrong = self._stamps.wrong(sample, now_ns)
        if self._begun_ns is not None and now_ns - self._begun_ns >= GRACE_NS:
            self._update(("stamps",), ("stamps",) if is_wrong else (), now_ns)

    def _update(self, possible: Iterable[str], found: Iterable[str], now_ns: int) -> None:
        found = set(found)
        for fault in possible:
            self._holds[fault].update(fault in found, now_ns)


def told(faults: Iterable[str]) -> str:
    """Faults in words: "black: its picture is black"."""
    return "; ".join(f"{fault}: {WHAT[fault]}" for fault in faults)


def _rate_hz(line: Stream) -> float | None:
    """What is expected a second: samples, or seconds of sound; None where nobody can say."""
    match line:
        case Camera():
            return line.rate_hz
        case Microphone():
            return 1.0
        case Readings():
            return line.rate_hz
    return None


def _frozen_s(line: Stream) -> float:
    """How long a stream may deliver the same; for ever, if it is a file.

    And for ever if it is readings, unless the configuration says how long: a switch, or a
    thermometer that rounds, says the same for hours, and nothing tells it from one that is stuck.
    """
    if isinstance(line, Readings):
        return line.frozen_s or math.inf
    if isinstance(line, Camera) and line.frozen_s:
        return line.frozen_s
    source = str(line.source)
    if "://" in source:
        return FROZEN_BY_NETWORK_S
    return math.inf if _is_file(line, source) else FROZEN_S


def _is_file(line: Stream, source: str) -> bool:
    if isinstance(line, Microphone):
        return source.startswith("/") or source.lower().endswith((".wav", ".flac", ".ogg"))
    return not (source == "simulator" or source.isdecimal() or source.startswith("/dev/"))
