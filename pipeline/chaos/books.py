"""Whether the node's ledgers close: it accounts for what each sensor says that it captured.

A process that was killed could not say its last count, which is up to a second old; so a stream
is allowed what it brings in that time, for each of its processes that was killed. The relay of
another host drops what nobody has read yet, before the node's ledger begins: how far apart the
two were when the plan began is taken off, again to a second of its samples.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any

from pipeline.chaos.plan import NODE
from pipeline.chaos.seen import Seen
from pipeline.config import Config

OLD_S = 1.3  # the age of a health that is the newest


class Books:
    """The accounts of one run of the hub, from its first complete prediction on."""

    def __init__(self, config: Config, seen: Seen) -> None:
        self._config, self._seen = config, seen
        self._begin_ns = seen.ticks_ns[-1]
        counters = seen.health[NODE].counters
        self._apart = {
            stream: self._captured(stream) - _accounted(*_of(counters, stream))
            for stream, line in config.streams.items()
            if line.is_remote
        }

    def open_streams(
        self, result: Mapping[str, Any] | None, killed: Collection[tuple[str, int]]
    ) -> dict[str, str]:
        """{stream: what is wrong}. Without a result the hub was killed: its last word counts."""
        counters = self._seen.health[NODE].counters
        captured, accounted, slack = {}, {}, {}
        for stream in self._config.streams:
            line = result["streams"][stream] if result else None
            own = (line["delivered"], line["dropped"]) if line else _of(counters, stream)
            n_unsure = sum(name == stream for name, _ in killed) + (result is None)
            captured[stream] = self._captured(stream) - self._apart.get(stream, 0)
            accounted[stream] = _accounted(*own)
            slack[stream] = self._per_report(stream) * (n_unsure + (stream in self._apart))
        return differences(captured, accounted, slack)

    def _captured(self, stream: str) -> int:
        return sum(n for (name, _), n in self._seen.captured.items() if name == stream)

    def _per_report(self, stream: str) -> int:
        """More samples than come between two reports of health."""
        lasted_s = max(1.0, (self._seen.ticks_ns[-1] - self._begin_ns) / 1e9)
        return 2 + round(OLD_S * self._captured(stream) / lasted_s)


class Accounts:
    """The books of a hub that may be started several times: {stream: what is wrong} of each."""

    def __init__(self, config: Config, seen: Seen) -> None:
        self._config, self._seen = config, seen
        self._books: Books | None = None
        self._judged: list[tuple[int, dict[str, str]]] = []

    def open(self) -> None:
        """Begin the books of a hub, once it is complete."""
        if self._books is None and self._seen.is_complete and NODE in self._seen.health:
            self._books = Books(self._config, self._seen)

    def close(self, result: Mapping[str, Any] | None, killed: Collection[tuple[str, int]]) -> None:
        """Close the books of the hub that has ended."""
        whole = dict.fromkeys(self._config.streams, "the run was never complete")
        found = self._books.open_streams(result, killed) if self._books else whole
        self._judged.append((time.monotonic_ns(), found))
        self._books = None

    def of(self, stream: str, at_ns: int) -> dict[str, str]:
        """What is wrong in the books that were open at a time; of all streams for a process."""
        found = next((found for end_ns, found in self._judged if at_ns <= end_ns), {})
        if stream in self._config.streams:
            return {s: what for s, what in found.items() if s == stream}
        return found


def differences(
    captured: Mapping[str, int], accounted: Mapping[str, int], slack: Mapping[str, int]
) -> dict[str, str]:
    """{stream: what is wrong} where two counts lie further apart than `slack` allows."""
    return {
        stream: f"{n} captured, {accounted[stream]} accounted for"
        for stream, n in captured.items()
        if abs(n - accounted[stream]) > slack[stream]
    }


def _of(counters: Mapping[str, int], stream: str) -> tuple[int, dict[str, int]]:
    prefix = f"{stream}.dropped."
    dropped = {k.removeprefix(prefix): n for k, n in counters.items() if k.startswith(prefix)}
    return counters.get(f"{stream}.delivered", 0), dropped


def _accounted(delivered: int, dropped: Mapping[str, int]) -> int:
    """Samples, each once: what came twice was captured once."""
    return delivered + sum(dropped.values()) - dropped.get("duplicate", 0)
