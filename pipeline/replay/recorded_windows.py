"""The windows that recorded predictions name, for a node that is to see what the live one saw."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence

from pipeline.aligner import Window, WindowRule, cut
from pipeline.prediction import Prediction
from pipeline.sample import Sample, Tokens

MAX_PICTURES = 32  # a prediction is in the log soon after its tick
MAX_OTHERS = 4096
# Node and recorder each know the clock of another host with an error of their own.
SAME_NS = 50_000_000


class KeptTokens(Tokens, frozen=True, kw_only=True, eq=False):
    """Recorded tokens in place of the window they were made from, which ended at `t_until_ns`."""

    t_until_ns: int

    @property
    def t_end_ns(self) -> int:
        return self.t_until_ns


class RecordedWindows:
    """Has the interface of an Aligner, and gives what the prediction set by `name` names.

    A sample is found by its number and time, since a publisher that starts anew counts anew. A
    window of which one sample is not in the log is missing.
    """

    def __init__(self, rules: Mapping[str, WindowRule]) -> None:
        self._rules = rules
        self._samples: dict[str, dict[tuple[int, int], Sample]] = {stream: {} for stream in rules}
        self._tokens: dict[str, deque[Tokens]] = {s: deque(maxlen=MAX_PICTURES) for s in rules}
        self._named: Prediction | None = None
        self.lacking: Counter[str] = Counter()  # windows that could not be found

    def name(self, prediction: Prediction) -> None:
        """Make the windows of this prediction those of its tick."""
        self._named = prediction

    def add(self, sample: Sample) -> None:
        """Take in a sample of a stream, or tokens that were made of one."""
        if isinstance(sample, Tokens):
            self._tokens[sample.of].append(sample)
            return
        held = self._samples[sample.stream]
        held[sample.seq, sample.t_capture_ns] = sample
        if len(held) > (MAX_PICTURES if self._rules[sample.stream].latest else MAX_OTHERS):
            del held[next(iter(held))]

    def oldest(self, stream: str) -> Sample:
        """The oldest sample that is kept; the stream must have had one."""
        return next(iter(self._samples[stream].values()))

    def discard(self, sample: Sample) -> None:
        """Forget one sample."""
        self._samples[sample.stream].pop((sample.seq, sample.t_capture_ns), None)

    def window(self, stream: str, tick_ns: int) -> Window | None:
        """The window that was recorded for this tick; None if there was none."""
        prediction = self._named
        if prediction is None or tick_ns != prediction.tick_ns:
            return None
        named = prediction.inputs.get(stream)
        if not named:
            return None
        found = [self._find(stream, seq, t_capture_ns) for seq, t_capture_ns in named]
        present = [sample for sample in found if sample is not None]
        if len(present) == len(found):
            # The same rule as live: of another bundle it may want less, or more than there is.
            return cut(present, self._rules[stream])
        made = self._of_tokens(stream, named, prediction)
        self.lacking[stream] += made is None
        return made

    def _find(self, stream: str, seq: int, t_capture_ns: int) -> Sample | None:
        held = self._samples[stream]
        if (exact := held.get((seq, t_capture_ns))) is not None:
            return exact
        near = (s for s in held.values() if _is_same(s, seq, t_capture_ns))
        return next(near, None)

    def _of_tokens(
        self, stream: str, named: Sequence[tuple[int, int]], prediction: Prediction
    ) -> Window | None:
        """What stands for a window of which the log holds the tokens alone."""
        seq, t_capture_ns = named[-1]
        tokens = next((t for t in self._tokens[stream] if t.t_capture_ns == t_capture_ns), None)
        if tokens is None:
            return None
        before = [
            Sample(stream=stream, seq=n, t_capture_ns=t_ns, t_publish_ns=tokens.t_publish_ns)
            for n, t_ns in named[:-1]
        ]
        age_ns = prediction.ages_ns.get(stream, prediction.tick_ns - t_capture_ns)
        newest = KeptTokens(
            stream=stream,
            seq=seq,
            t_capture_ns=t_capture_ns,
            t_publish_ns=tokens.t_publish_ns,
            of=stream,
            values=tokens.values,
            t_until_ns=prediction.tick_ns - age_ns,
        )
        return (*before, newest)


def _is_same(sample: Sample, seq: int, t_capture_ns: int) -> bool:
    return sample.seq == seq and abs(sample.t_capture_ns - t_capture_ns) <= SAME_NS


def same_inputs(
    one: Mapping[str, Sequence[tuple[int, int]]], other: Mapping[str, Sequence[tuple[int, int]]]
) -> bool:
    """Whether two predictions were made of the same samples."""
    return one.keys() == other.keys() and all(
        same_window(one[stream], other[stream]) for stream in one
    )


def same_window(one: Sequence[tuple[int, int]], other: Sequence[tuple[int, int]]) -> bool:
    """Whether two windows hold the same samples."""
    return len(one) == len(other) and all(
        a == b or (a[0] == b[0] and abs(a[1] - b[1]) <= SAME_NS)
        for a, b in zip(one, other, strict=True)
    )
