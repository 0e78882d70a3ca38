"""The part of a log that is replayed: which streams, from when to when, under which names."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from pipeline.error import SensoriumError
from pipeline.log.reader import LogReader
from pipeline.prediction import Prediction
from pipeline.sample import Sample, Tokens, tokens_stream


class ReplayError(SensoriumError):
    """A log cannot be replayed in this way; one line says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What the user chose: seconds from the log's beginning, and names as the log has them.

    No `streams` are all; `names` is {name in the log: name to replay it under}.
    """

    start_s: float = 0.0
    duration_s: float | None = None
    streams: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)


class Part:
    """A choice of an open log. Streams and samples have the names that they are replayed under.

    Raises ReplayError for names that the log does not have, and for a part that is empty.
    """

    def __init__(self, log: LogReader, choice: Choice) -> None:
        self._log, self._names = log, dict(choice.names)
        self.log_path = log.path
        for name in (*choice.streams, *choice.names):
            if name not in log.streams and tokens_stream(name) not in log.streams:
                near = difflib.get_close_matches(name, log.streams, n=1, cutoff=0.0)
                meant = f"; did you mean {near[0]!r}?" if near else ""
                raise ReplayError(f"the log has no stream {name!r}{meant}")
        self._chosen = _with_tokens(choice.streams)
        spans = [line for line in log.streams.values() if line.n_messages]
        if not spans:
            raise ReplayError("the log holds no samples")
        self.log_start_ns = min(line.first_publish_ns for line in spans)
        last_ns = max(line.last_publish_ns for line in spans)
        self.start_ns = self.log_start_ns + round(choice.start_s * 1e9)
        self._is_whole = choice.start_s == 0
        length_ns = None if choice.duration_s is None else round(choice.duration_s * 1e9)
        self.end_ns = last_ns if length_ns is None else min(last_ns, self.start_ns + length_ns)
        if self.start_ns > last_ns:
            length_s = (last_ns - self.log_start_ns) / 1e9
            raise ReplayError(f"--start {choice.start_s:g}: the log ends after {length_s:.3f} s")

    def covers(self, tick_ns: int) -> bool:
        """Whether a tick lies in the part; the first one of a log may lie before its samples."""
        return tick_ns <= self.end_ns and (self._is_whole or tick_ns >= self.start_ns)

    @property
    def length_ns(self) -> int:
        """How long the part lasts."""
        return self.end_ns - self.start_ns

    @property
    def streams(self) -> list[str]:
        """The streams that were chosen, and all predictions."""
        return [self._name(name) for name in self._kept()]

    def chose(self, stream: str) -> bool:
        """Whether the user wants the stream, be it in the log or not."""
        return not self._chosen or stream in map(self._name, self._chosen)

    def samples(
        self, streams: Collection[str], *, lead_ns: int = 0, tail_ns: int = 0
    ) -> Iterator[Sample]:
        """The samples of these streams in order, from `lead_ns` before the part to `tail_ns` after.

        A window begins before its tick, and a prediction is in the log after it.
        """
        wanted = [name for name in self._kept() if self._name(name) in streams]
        if not wanted:
            return
        for sample in self._log.samples(
            wanted, start_ns=self.start_ns - lead_ns, end_ns=self.end_ns + tail_ns + 1
        ):
            yield self._renamed(sample)

    def _kept(self) -> list[str]:
        """Names in the log."""
        return [
            name
            for name in self._log.streams
            if not self._chosen or name in self._chosen or name.startswith("prediction/")
        ]

    def _name(self, name: str) -> str:
        """The name under which a stream of the log, or its tokens, is replayed."""
        prefix = tokens_stream("")
        if name.startswith(prefix):
            of = name.removeprefix(prefix)
            return tokens_stream(self._names.get(of, of))
        return self._names.get(name, name)

    def _renamed(self, sample: Sample) -> Sample:
        if not self._names:
            return sample
        if isinstance(sample, Prediction):
            return replace(
                sample,
                stream=self._name(sample.stream),
                inputs={self._name(s): x for s, x in sample.inputs.items()},
                ages_ns={self._name(s): x for s, x in sample.ages_ns.items()},
                missing=[self._name(s) for s in sample.missing],
                weights={self._name(s): x for s, x in sample.weights.items()},
            )
        if isinstance(sample, Tokens):
            return replace(sample, stream=self._name(sample.stream), of=self._name(sample.of))
        return replace(sample, stream=self._name(sample.stream))


def _with_tokens(streams: Sequence[str]) -> set[str]:
    return {*streams, *map(tokens_stream, streams)}


def parse_names(remaps: Sequence[str]) -> dict[str, str]:
    """["old=new", ...] as a table. Raises ReplayError."""
    names = {}
    for remap in remaps:
        old, equals, new = remap.partition("=")
        if not (old and equals and new):
            raise ReplayError(f"--remap {remap}: write it as old=new")
        names[old] = new
    return names
