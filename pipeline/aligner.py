"""The aligner decides which samples a prediction may use, live, in replay and in training.

Its answer depends on the streams and the time stamps alone, never on the clock of the moment.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, TypeAlias

from pipeline.sample import Sample

Window: TypeAlias = "tuple[Sample, ...]"

# Clocks of devices are read with an error; lost sound is longer than this.
JITTER_NS = 50_000_000
# Samples newer than the tick wait for the next one; ticks lag by milliseconds, not by a second.
SLACK_NS = 1_000_000_000
MAX_LATEST = 4
MAX_QUEUE = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowRule:
    """How a window is cut that ends with a given sample.

    Either the newest `count` samples, fewer at the start of a stream; or, with `duration_ns`, as
    many as last so long, without a gap; until there are enough there is no window.
    """

    max_age_ns: int
    count: int = 1
    duration_ns: int = 0
    latest: bool = False


class Windows(Protocol):
    """What a node asks for windows: an Aligner, or what was recorded of one."""

    def add(self, sample: Sample) -> None: ...

    def oldest(self, stream: str) -> Sample: ...

    def discard(self, sample: Sample) -> None: ...

    def window(self, stream: str, tick_ns: int) -> Window | None: ...


class Aligner:
    """Holds the newest samples of each stream and cuts windows from them."""

    def __init__(self, rules: dict[str, WindowRule]) -> None:
        self._rules = rules
        self._samples: dict[str, deque[Sample]] = {
            stream: deque(maxlen=MAX_LATEST if rule.latest else MAX_QUEUE)
            for stream, rule in rules.items()
        }

    def add(self, sample: Sample) -> None:
        """Take in a sample. If its publisher started anew, so does the stream."""
        samples = self._samples[sample.stream]
        if samples and sample.seq <= samples[-1].seq:
            samples.clear()
        samples.append(sample)
        _prune(samples, self._rules[sample.stream])

    def oldest(self, stream: str) -> Sample:
        """The oldest sample that is kept; the stream must have had one."""
        return self._samples[stream][0]

    def discard(self, sample: Sample) -> None:
        """Forget one sample."""
        self._samples[sample.stream].remove(sample)

    def window(self, stream: str, tick_ns: int) -> Window | None:
        """The window that a prediction at `tick_ns` uses; None if it is missing or too old."""
        rule, samples = self._rules[stream], self._samples[stream]
        end = len(samples)
        while end and samples[end - 1].t_publish_ns > tick_ns:
            end -= 1
        if not end or tick_ns - samples[end - 1].t_end_ns > rule.max_age_ns:
            return None
        # No tuple: CPython 3.11 frees those of 20 items only after two thousand of them.
        return cut(list(islice(samples, end)), rule)


def _prune(samples: deque[Sample], rule: WindowRule) -> None:
    """Let go of samples that no window to come can hold."""
    kept_from_ns = samples[-1].t_publish_ns - rule.duration_ns - SLACK_NS
    while len(samples) > rule.count and samples[rule.count].t_publish_ns < kept_from_ns:
        samples.popleft()


def cut(samples: Sequence[Sample], rule: WindowRule) -> Window | None:
    """The window that ends with the last of the samples."""
    if not rule.duration_ns:
        return tuple(samples[-rule.count :])
    lasted_ns = 0
    for start in range(len(samples) - 1, -1, -1):
        sample = samples[start]
        if start + 1 < len(samples) and not follows(sample, samples[start + 1]):
            return None
        lasted_ns += sample.t_end_ns - sample.t_capture_ns
        if lasted_ns >= rule.duration_ns:
            return tuple(samples[start:])
    return None


def follows(before: Sample, after: Sample) -> bool:
    """Whether nothing is missing between two samples, neither by their numbers nor in time."""
    gap_ns = after.t_capture_ns - before.t_end_ns
    return after.seq == before.seq + 1 and abs(gap_ns) <= JITTER_NS
