"""How far a build is, and how long it will still take."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeAlias

from msgspec import Struct

PERIOD_S = 5.0
TELLING_SHARE = 0.05  # from here on the time that passed tells what is left

log = logging.getLogger(__name__)


class Progress(Struct, frozen=True, kw_only=True):
    """How far the engine of `source` is; `left_s` is an estimate, if there is anything to go by."""

    source: str
    share: float
    passed_s: float
    left_s: float | None

    def __str__(self) -> str:
        left = "a first build takes minutes"
        if self.left_s is not None:
            left = f"about {self.left_s:.0f} s left"
        return f"building {self.source}, {self.share:.0%}, {left}"


Tell: TypeAlias = Callable[[Progress], None]


class Estimate:
    """Turns the shares of one build into progress; `expected_s` is how long such a build took."""

    def __init__(self, source: str, expected_s: float | None, tell: Tell) -> None:
        self._source, self._expected_s, self._tell = source, expected_s, tell
        self._began_s = time.monotonic()
        self(0.0)

    def __call__(self, share: float) -> None:
        """Tell how much is done."""
        passed_s = time.monotonic() - self._began_s
        left_s = None
        if share >= TELLING_SHARE:
            left_s = passed_s * (1 - share) / share
        elif self._expected_s is not None:
            left_s = max(0.0, self._expected_s - passed_s)
        self._tell(
            Progress(source=self._source, share=share, passed_s=round(passed_s, 1), left_s=left_s)
        )


class LogLines:
    """Says progress as lines of the log: at the begin of each build, then every five seconds."""

    def __init__(self) -> None:
        self._source, self._due_s = "", 0.0

    def __call__(self, progress: Progress) -> None:
        now_s = time.monotonic()
        if progress.source != self._source or now_s >= self._due_s:
            self._source, self._due_s = progress.source, now_s + PERIOD_S
            log.info("%s", progress)
