"""Samples of every type for the tests of logs, drawn and fixed, and how to compare them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from pipeline.config import Compression
from pipeline.log.form import LogHeader
from pipeline.log.reader import LogReader
from pipeline.log.writer import LogWriter
from pipeline.prediction import Prediction
from pipeline.sample import (
    AudioChunk,
    Frame,
    Health,
    Label,
    Reading,
    Sample,
    TextEvent,
    Tokens,
)

HEADER = LogHeader(monotonic_ns=5_000_000_000, wall_ns=1_790_000_000_123_456_789)
_TIMES = st.integers(0, 2**60)
_TEXTS = st.text(max_size=20)
_FLOATS = st.floats(allow_nan=False)
_COUNTS = st.integers(-(2**63), 2**63 - 1)
_NAMES = st.text(max_size=6)
_FINITE = st.floats(allow_nan=False, allow_infinity=False)  # JSON has no other numbers
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _FINITE | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=6,
)


_PIXELS = st.tuples(st.integers(1, 6), st.integers(1, 6)).flatmap(
    lambda size: npst.arrays(np.uint8, (*size, 3))
)
_FLOAT_ARRAYS = st.tuples(st.integers(0, 4), st.integers(1, 4)).flatmap(
    lambda shape: npst.arrays(np.float32, shape)
)
_PCM = st.tuples(st.integers(0, 9), st.integers(1, 3)).flatmap(
    lambda shape: npst.arrays(np.int16, shape)
)


def _of(kind: type[Sample], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Sample]:
    base = {"stream": st.sampled_from([f"{kind.__name__.lower()}/a", "same/b"])}
    times = {"t_capture_ns": _TIMES, "t_publish_ns": _TIMES, "seq": st.integers(0, 2**50)}
    return st.builds(kind, **base, **times, **fields)


def _readings(values: Any) -> st.SearchStrategy[Sample]:
    names = st.tuples(*[_NAMES] * len(values))
    return _of(Reading, values=st.just(values), names=names, units=names)


FRAMES = _of(Frame, pixels=_PIXELS, order=st.sampled_from(["bgr", "rgb"]))
SAMPLES: st.SearchStrategy[Sample] = st.one_of(
    FRAMES,
    _of(AudioChunk, pcm=_PCM, rate_hz=st.integers(1, 2**32 - 1)),
    _of(TextEvent, text=_TEXTS, fields=st.dictionaries(_TEXTS, _JSON, max_size=3)),
    npst.arrays(np.float32, st.integers(0, 4)).flatmap(_readings),
    _of(Tokens, of=_NAMES, values=_FLOAT_ARRAYS),
    _of(
        Health,
        process=_NAMES,
        pid=_COUNTS,
        state=_NAMES,
        counters=st.dictionaries(_NAMES, _COUNTS, max_size=3),
        last_error=_TEXTS,
        faults=st.lists(_NAMES, max_size=2),
    ),
    _of(Label, label=_NAMES, t_until_ns=_TIMES, source=_NAMES, score=_FLOATS),
    _of(
        Prediction,
        outputs=st.dictionaries(
            _NAMES,
            st.dictionaries(_NAMES, _FLOATS, max_size=3)
            | st.lists(_FLOATS, max_size=3)
            | st.text(max_size=20),
            max_size=3,
        ),
        main=_NAMES.filter(bool),
        inputs=st.dictionaries(
            _NAMES, st.lists(st.tuples(st.integers(0, 2**64 - 1), _TIMES), max_size=3), max_size=3
        ),
        ages_ns=st.dictionaries(_NAMES, _COUNTS, max_size=3),
        missing=st.lists(_NAMES, max_size=3),
        weights=st.dictionaries(_NAMES, _FLOATS, max_size=3),
        backend=st.dictionaries(_NAMES, _NAMES, max_size=3),
        stages_ns=st.dictionaries(_NAMES, st.lists(_COUNTS, max_size=8).map(tuple), max_size=3),
        t_emit_ns=_TIMES,
        faults=st.dictionaries(_NAMES, st.lists(_NAMES, max_size=2), max_size=2),
    ),
)


def assert_same(a: Sample, b: Sample) -> None:
    """Every field, with its type, its order and each bit of its arrays (but a NaN's)."""
    assert type(a) is type(b)
    for field in a.__struct_fields__:
        x, y = getattr(a, field), getattr(b, field)
        if field == "intact":
            assert y()
        elif isinstance(x, np.ndarray):
            assert (x.dtype, x.shape) == (y.dtype, y.shape), field
            assert not y.flags.writeable
            assert np.array_equal(x, y, equal_nan=x.dtype.kind == "f"), field
        else:
            assert repr(x) == repr(y), field


def event(seq: int, t_ns: int, stream: str = "text/a", text: str = "hi") -> TextEvent:
    return TextEvent(stream=stream, seq=seq, t_capture_ns=t_ns, t_publish_ns=t_ns, text=text)


def frame(seq: int, t_ns: int, size_px: tuple[int, int] = (48, 64)) -> Frame:
    """A gradient that moves."""
    rows, columns = np.indices(size_px)
    pixels = np.stack([rows + seq, columns + seq, rows + columns], axis=2).astype(np.uint8)
    return Frame(stream="camera/a", seq=seq, t_capture_ns=t_ns, t_publish_ns=t_ns, pixels=pixels)


def chunk(seq: int, t_ns: int, n: int = 320, rate_hz: int = 16_000) -> AudioChunk:
    pcm = np.full((n, 1), seq % 1000, np.int16)
    times = {"t_capture_ns": t_ns, "t_publish_ns": t_ns + n * 1_000_000_000 // rate_hz}
    return AudioChunk(stream="microphone/a", seq=seq, pcm=pcm, rate_hz=rate_hz, **times)


def write(path: Path, samples: Iterable[Sample], compression: Compression = "none") -> list[Sample]:
    """A log of the samples; returns them in the order of a log."""
    stored = list(samples)
    with LogWriter(path, HEADER, compression=compression) as writer:
        for sample in stored:
            writer.write(sample)
    return sorted(stored, key=lambda s: (s.t_publish_ns, s.stream, s.seq % 2**32))


def read(path: Path, streams: Sequence[str] | None = None) -> list[Sample]:
    with LogReader(path) as reader:
        return list(reader.samples(streams))
