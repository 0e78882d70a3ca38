"""How far the governor has stepped down, and what a step is told as."""

from __future__ import annotations

GOVERNOR = "governor"  # the name of its events
# Each stream is encoded at most once in so many ticks. A level halves what the one before costs.
LEVELS = (1, 2, 4, 8, 16)


def level_label(encode_every: int) -> str:
    """What an event of the governor says is going on."""
    return f"encode_every_{encode_every}"
