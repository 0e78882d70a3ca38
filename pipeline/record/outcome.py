"""What a recording came to, as a run says it at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.config import Config
from pipeline.record.budget import MB
from pipeline.record.clock import ClockPair
from pipeline.record.name import SegmentNames

_DROPPED = ".dropped."


def outcome(
    config: Config, pair: ClockPair, counters: Mapping[str, int], error: str
) -> dict[str, Any]:
    """What `--json` prints; `counters` and `error` are those of the recorder's last health.

    Files and bytes are what is there now; the rest is since the recorder's last start.
    """
    paths = SegmentNames(config.record.file, pair.wall_ns).own() if config.record.file else []
    dropped: Counter[str] = Counter()
    for name, n in counters.items():
        if _DROPPED in name:
            dropped[name.split(_DROPPED)[1]] += n
    return {
        "files": [str(path) for path in paths],
        "bytes": sum(path.stat().st_size for path in paths),
        "seconds": counters.get("span_ms", 0) / 1000,
        "messages": counters.get("messages", 0),
        "dropped": dict(dropped),
        "incidents": counters.get("incidents", 0),
        "error": error,
    }


def text(found: Mapping[str, Any]) -> str:
    """The same in one line for people."""
    files = [Path(file) for file in found["files"]]
    parts = [f"{found['seconds']:.1f} s", f"{found['bytes'] / MB:.1f} MB"]
    parts += [f"{found['messages']} messages"]
    parts += [f"dropped: {', '.join(f'{n} {r}' for r, n in found['dropped'].items()) or 'none'}"]
    if found["incidents"]:
        parts.append(f"{found['incidents']} incidents")
    if found["error"]:
        parts.append(f"FAILED: {found['error']}")
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    name = f"{files[0]}{more}" if files else "no file"
    return f"recorded {name}: {', '.join(parts)}"
