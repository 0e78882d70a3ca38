"""The loss ledger of one subscriber: captured = delivered + dropped, each drop with a reason."""

from __future__ import annotations

from collections import Counter


class Ledger:
    """Counts one stream from the first sequence number that this subscriber saw.

    A gap is a loss whose reason the stream's policy tells: "superseded" where only the newest is
    wanted, "queue_full" where all are. A message that could not be read explains a gap of one.
    """

    def __init__(self, gap_reason: str) -> None:
        self._gap_reason = gap_reason
        self._epoch = 0
        self._last_seq: int | None = None
        self._unexplained = 0
        self.delivered = 0
        self.dropped: Counter[str] = Counter()

    @property
    def captured(self) -> int:
        """All samples that this subscriber knows of."""
        return self.delivered + self.dropped.total()

    def arrive(self, epoch: int, seq: int, gap_reason: str = "") -> bool:
        """Count a sample and the gap before it. False for one that came before: it is dropped.

        `gap_reason` is for a gap that the policy does not explain.
        """
        if epoch != self._epoch:
            self._epoch, self._last_seq, self._unexplained = epoch, None, 0
        if self._last_seq is not None:
            if seq <= self._last_seq:
                self.dropped["duplicate"] += 1
                return False
            self._gap(seq - self._last_seq - 1, gap_reason or self._gap_reason)
        self._last_seq = seq
        self.delivered += 1
        return True

    def lose(self, reason: str) -> None:
        """Count a message that came but could not be read."""
        self.dropped[reason] += 1
        self._unexplained += 1

    def refuse(self, reason: str) -> None:
        """Count a delivered sample as one that the node could not take."""
        self.delivered -= 1
        self.dropped[reason] += 1

    def close(self, published: int) -> None:
        """Count what the publisher sent after our last sample; `published` is its own count."""
        if self._last_seq is not None:
            self._gap(published - 1 - self._last_seq, "at_stop")
            self._last_seq = max(self._last_seq, published - 1)

    def _gap(self, size: int, reason: str) -> None:
        explained = min(size, self._unexplained)
        self._unexplained -= explained
        if size > explained:
            self.dropped[reason] += size - explained

    def counters(self) -> dict[str, int]:
        """{"captured": n, "delivered": n, "dropped.REASON": n, ...}."""
        drops = {f"dropped.{reason}": n for reason, n in sorted(self.dropped.items())}
        return {"captured": self.captured, "delivered": self.delivered} | drops
