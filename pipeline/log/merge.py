"""The messages of overlapping chunks in one order, with no more chunks in memory than overlap."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from pipeline.log.codec import Stored
from pipeline.log.form import LogError

MAX_OVERLAP_BYTES = 512 * 2**20


class Loaded(NamedTuple):
    """The wanted messages of a chunk, and what the chunk takes in memory."""

    messages: list[Stored]
    size_bytes: int


class _Entry(NamedTuple):
    """A message in its place: by time, stream and seq, then as it lies in the file."""

    log_time_ns: int
    stream: str
    sequence: int
    chunk_at: int
    n: int
    message: Stored


class Merge:
    """All messages of chunks in order. `places` gives (begin, offset), sorted by begin.

    `load` reads the chunk at an offset. Iteration raises LogError.
    """

    def __init__(self, places: Iterable[tuple[int, int]], load: Callable[[int], Loaded]) -> None:
        self._places = places
        self._load = load
        self._heap: list[_Entry] = []
        self._held: dict[int, list[int]] = {}  # {chunk: [messages still to come, bytes]}
        self._held_bytes = 0

    def __iter__(self) -> Iterator[Stored]:
        heap = self._heap
        for begin_ns, at in self._places:
            # At the same time the next chunk may hold a stream that comes first.
            while heap and heap[0].log_time_ns < begin_ns:
                yield self._pop()
            self._push(at, begin_ns)
        while heap:
            yield self._pop()

    def _push(self, at: int, begin_ns: int) -> None:
        loaded = self._load(at)
        if not loaded.messages:
            return
        if min(message.log_time_ns for message in loaded.messages) < begin_ns:
            raise LogError("a damaged log: a chunk begins before its index says")
        self._held[at] = [len(loaded.messages), loaded.size_bytes]
        self._held_bytes += loaded.size_bytes
        if self._held_bytes > MAX_OVERLAP_BYTES:
            raise LogError(f"more than {MAX_OVERLAP_BYTES >> 20} MiB of chunks of the same time")
        for n, message in enumerate(loaded.messages):
            order = (message.log_time_ns, message.stream, message.sequence)
            heapq.heappush(self._heap, _Entry(*order, at, n, message))

    def _pop(self) -> Stored:
        entry = heapq.heappop(self._heap)
        held = self._held[entry.chunk_at]
        held[0] -= 1
        if not held[0]:
            del self._held[entry.chunk_at]
            self._held_bytes -= held[1]
        return entry.message
