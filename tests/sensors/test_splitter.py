"""Lines cut from bytes, whatever the pieces."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from sensors.splitter import MAX_TEXT_BYTES, LineSplitter


def split(pieces: list[bytes]) -> tuple[list[bytes], int]:
    counters = {"oversized": 0}
    splitter = LineSplitter(counters)
    lines = [line for piece in pieces for line in splitter.feed(piece)]
    return lines + splitter.finish(), counters["oversized"]


@settings(deadline=None)
@given(st.binary(max_size=300), st.lists(st.integers(0, 300)))
def test_lines_do_not_depend_on_the_pieces_they_come_in(data: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(data)]
    pieces = [data[a:b] for a, b in pairwise(edges)]
    assert split(pieces) == split([data])
    *whole, tail = data.split(b"\n")
    assert split(pieces)[0] == whole + ([tail] if tail else [])


@settings(deadline=None)
@given(
    st.lists(st.integers(MAX_TEXT_BYTES - 2, MAX_TEXT_BYTES + 2), max_size=4),
    st.integers(1, 3 * MAX_TEXT_BYTES),
)
def test_long_lines_are_counted_once_wherever_they_are_cut(sizes: list[int], step: int) -> None:
    data = b"".join(b"x" * size + b"\n" for size in sizes) + b"last"
    lines, oversized = split([data[n : n + step] for n in range(0, len(data), step)])
    kept = [size for size in sizes if size <= MAX_TEXT_BYTES]
    assert [len(line) for line in lines] == [*kept, 4]
    assert oversized == len(sizes) - len(kept)


def test_an_endless_line_is_not_held() -> None:
    splitter = LineSplitter({"oversized": 0})
    piece = b"x" * MAX_TEXT_BYTES
    tracemalloc.start()
    try:
        for _ in range(160):  # 10 MB
            assert splitter.feed(piece) == []
        assert tracemalloc.get_traced_memory()[1] < 5 * MAX_TEXT_BYTES
    finally:
        tracemalloc.stop()
    assert splitter.feed(b"\nafter\n") == [b"after"]
