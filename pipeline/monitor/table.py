"""The processes of a run as a table of plain text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pipeline.control import ProcessStatus
from pipeline.monitor.usage import Meter

HEAD = ("process", "pid", "state", "rate Hz", "lost", "restarts", "CPU %", "MB", "last error")
RIGHT = ("pid", "rate Hz", "restarts", "CPU %", "MB")
GAP = "  "


def rows(processes: Sequence[ProcessStatus], meter: Meter) -> list[tuple[str, ...]]:
    """One row a process, in the columns of HEAD."""
    node: Mapping[str, int] = next((p.counters for p in processes if p.name == "node"), {})
    return [_row(process, lost(process.name, node), meter) for process in processes]


def _row(process: ProcessStatus, drops: Mapping[str, int], meter: Meter) -> tuple[str, ...]:
    used = meter.read(process.pid) if process.pid else None
    return (
        printable(process.name),
        str(process.pid or "-"),
        state(process),
        "-" if process.rate_hz is None else f"{process.rate_hz:.1f}",
        ", ".join(f"{n} {reason}" for reason, n in drops.items()) or "-",
        str(process.restarts),
        f"{100 * used[0]:.0f}" if used else "-",
        f"{used[1] / 1e6:.0f}" if used else "-",
        printable(process.last_error),
    )


def state(process: ProcessStatus) -> str:
    """The state, with what is wrong: "stuck (black)"."""
    faults = f" ({', '.join(process.faults)})" if process.faults else ""
    return printable(process.state + faults)


def lost(stream: str, node: Mapping[str, int]) -> dict[str, int]:
    """{reason: how many samples of a stream the node never had}, from the node's counters."""
    prefix = f"{stream}.dropped."
    return {k.removeprefix(prefix): n for k, n in node.items() if k.startswith(prefix) and n}


def printable(text: str) -> str:
    """The text in one line, and with nothing that a terminal would obey: it may be a stranger's."""
    return "".join(c if c.isprintable() else "?" for c in text)


def text(lines: Iterable[Sequence[str]]) -> str:
    """A table under HEAD, each column as wide as its widest cell."""
    table = [HEAD, *lines]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "".join(_line(line, widths) + "\n" for line in table)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    named = zip(HEAD, cells, widths, strict=True)
    padded = (c.rjust(w) if name in RIGHT else c.ljust(w) for name, c, w in named)
    return GAP.join(padded).rstrip()
