"""Cuts a stream of bytes into lines without ever holding a line that is too long."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeAlias

from pipeline.sample import MAX_TEXT_BYTES

READ_BYTES = 64 * 1024
WAIT_S = 0.25

# A line without its newline; or None at least every WAIT_S, when there is nothing more for now.
Lines: TypeAlias = Generator[bytes | None, None, None]


class LineSplitter:
    """Cuts bytes into lines, whatever the pieces they come in.

    A line longer than `MAX_TEXT_BYTES` is counted as `oversized` and skipped as it comes.
    """

    def __init__(self, counters: dict[str, int]) -> None:
        self._counters = counters
        self._tail = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that end in `data`, without their newlines."""
        *whole, tail = data.split(b"\n")
        if whole:
            whole[0] = bytes(self._tail) + whole[0]
            self._tail.clear()
        if whole and self._skipping:
            whole.pop(0)
            self._skipping = False
        if not self._skipping:
            self._tail += tail
        if len(self._tail) > MAX_TEXT_BYTES:
            self._counters["oversized"] += 1
            self._skipping = True
            self._tail.clear()
        return [line for line in whole if self._fits(line)]

    def finish(self) -> list[bytes]:
        """The line that the end of the input, instead of a newline, has ended."""
        tail, self._skipping = bytes(self._tail), False
        self._tail.clear()
        return [tail] if tail else []

    def _fits(self, line: bytes) -> bool:
        if len(line) <= MAX_TEXT_BYTES:
            return True
        self._counters["oversized"] += 1
        return False
