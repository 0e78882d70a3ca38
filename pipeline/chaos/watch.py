"""One fault of a plan from its beginning until the run is well again, with a stopwatch."""

from __future__ import annotations

from pipeline.chaos.injection import Injection
from pipeline.chaos.plan import NODE, Bounds, Fault

JUST_BEFORE_NS = 500_000_000
GIVE_UP_NS = 15_000_000_000  # after its end a fault is left to itself


class Watch:
    """Begins and ends a fault in time; says when it was noticed, by what, and when it was over."""

    def __init__(self, fault: Fault, injection: Injection, origin_ns: int, bounds: Bounds) -> None:
        self.fault, self.injection = fault, injection
        self.begin_ns = origin_ns + round(fault.at_s * 1e9)
        self.end_ns = origin_ns + round(fault.end_s * 1e9)
        limit_s = bounds.link_detect_s if fault.kind == "network_cut" else bounds.detect_s
        self.detect_limit_s = limit_s
        self.before: list[str] = []  # signs that were there before the fault
        self._begun = self._ended = False
        self.signal = ""
        self.detected_ns: int | None = None
        self.recovered_ns: int | None = None
        self.is_over = False

    def step(self, now_ns: int) -> None:
        """Do and note what is due."""
        if self.is_over:
            return
        if now_ns < self.begin_ns:
            # A sensor may be faster to show a fault than this loop is to see that it has begun.
            if now_ns > self.begin_ns - JUST_BEFORE_NS:
                self.before = self.injection.signs()
            return
        if not self._begun:
            self._begun = True
            self.injection.begin()
            if not self.fault.for_s:  # a moment: the one at which it was done
                self.begin_ns = self.end_ns = now_ns
        signs = self.injection.signs()
        self._note_detection(signs, now_ns)
        self.injection.step()
        if now_ns >= self.end_ns:
            self._look_for_recovery(signs, now_ns)

    def _note_detection(self, signs: list[str], now_ns: int) -> None:
        new = [sign for sign in signs if sign not in self.before]
        if new and self.detected_ns is None:
            self.detected_ns, self.signal = now_ns, new[0]
            if self.fault.stream == NODE:  # the run has ended: from here on it may be started again
                self.end_ns = now_ns

    def _look_for_recovery(self, signs: list[str], now_ns: int) -> None:
        if not self._ended:
            self._ended = True
            self.injection.end()
            return
        waited_s = (now_ns - self.begin_ns) / 1e9
        noticed = self.detected_ns is not None or waited_s > self.detect_limit_s + 1
        if noticed and not signs and self.injection.is_well(self.end_ns):
            self.recovered_ns, self.is_over = now_ns, True
        self.is_over = self.is_over or now_ns > self.end_ns + GIVE_UP_NS

    def covers(self, stream: str, now_ns: int) -> bool:
        """Whether what is wrong with a stream may come of this fault."""
        struck = self.fault.stream in (stream, NODE)
        return struck and self.begin_ns <= now_ns and not self.is_over

    @property
    def detect_s(self) -> float | None:
        """From the beginning until it was noticed."""
        return _seconds(self.begin_ns, self.detected_ns)

    @property
    def recover_s(self) -> float | None:
        """From the end until the run was well again."""
        return _seconds(self.end_ns, self.recovered_ns)


def _seconds(begin_ns: int, end_ns: int | None) -> float | None:
    return None if end_ns is None else round((end_ns - begin_ns) / 1e9, 3)
