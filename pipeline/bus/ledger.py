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
        self._next_seq = 0
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
            self._epoch, self._next_seq, self._unexplained = epoch, seq, 0
        if seq < self._next_seq:
            self.dropped["duplicate"] += 1
            return False
        if seq > self._next_seq:
            self._gap(seq - self._next_seq, gap_reason or self._gap_reason)
        self._next_seq = seq + 1
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
        if self._epoch:
            self._gap(published - self._next_seq, "at_stop")
            self._next_seq = max(self._next_seq, published)

    def _gap(self, size: int, reason: str) -> None:
        explained = min(size, self._unexplained)
        self._unexplained -= explained
        if size > explained:
            self.dropped[reason] += size - explained

    def counters(self) -> dict[str, int]:
        """{"captured": n, "delivered": n, "dropped.REASON": n, ...}."""
        drops = {f"dropped.{reason}": n for reason, n in sorted(self.dropped.items())}
        return {"captured": self.captured, "delivered": self.delivered} | drops
