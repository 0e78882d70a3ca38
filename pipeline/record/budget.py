"""The disk that files of one kind may take together: the oldest are deleted."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

MB = 1_000_000

log = logging.getLogger(__name__)


def make_room(oldest_first: Sequence[Path], limit_bytes: int) -> int:
    """Delete the oldest files until the rest has at most so many bytes; how many that were."""
    sizes = [_size_bytes(path) for path in oldest_first]
    total, n_deleted = sum(sizes), 0
    for path, size in zip(oldest_first, sizes, strict=True):
        if total <= limit_bytes:
            break
        path.unlink(missing_ok=True)
        total -= size
        n_deleted += 1
        log.info("deleted %s: the budget of its kind is used up", path)
    return n_deleted


def _size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
