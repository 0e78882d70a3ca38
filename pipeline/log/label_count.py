"""How often each label of a log was set, and for how long: bounded, whatever the log holds."""

from __future__ import annotations

from collections import Counter
from itertools import islice

from msgspec import Struct

from pipeline.sample import Label

MAX_NAMES = 1000  # of one stream that are counted apart
SHOWN = 20


class LabelInfo(Struct, kw_only=True):
    """How often a label was set, and how long all its intervals are together."""

    count: int = 0
    seconds: float = 0.0


class LabelCounter:
    """Counts over the labels of all streams. `unlisted` counts those beyond MAX_NAMES names."""

    def __init__(self) -> None:
        self.streams: dict[str, dict[str, LabelInfo]] = {}
        self.unlisted: Counter[str] = Counter()

    def __call__(self, label: Label) -> None:
        """Count one label."""
        names = self.streams.setdefault(label.stream, {})
        if label.label not in names and len(names) >= MAX_NAMES:
            self.unlisted[label.stream] += 1
            return
        info = names.setdefault(label.label, LabelInfo())
        info.count += 1
        info.seconds += (label.t_until_ns - label.t_capture_ns) / 1e9


def label_line(stream: str, names: dict[str, LabelInfo], n_unlisted: int) -> str:
    """The labels of one stream for people."""
    each = (f"{name} {of.count}x {of.seconds:.1f} s" for name, of in islice(names.items(), SHOWN))
    more, shown = len(names) - SHOWN, ", ".join(each)
    if n_unlisted:
        return f"  {stream}: {shown} and more than {more} more"
    return f"  {stream}: {shown}" + (f" and {more} more" if more > 0 else "")
