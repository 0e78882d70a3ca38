"""Payloads of commands: text with $names out of a fixed set, or a table that becomes JSON.

Values come from an event alone, and nothing is evaluated. In a table a name stands inside a
string, which is encoded after that, so that no label can break out of it; a string that is one
name becomes its value, as a number where it is one.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from string import Template
from typing import Any, TypeAlias

import msgspec

from pipeline.event.event import Event

Payload: TypeAlias = "str | dict[str, Any]"
MAX_DEPTH = 8
NAMES = (
    "event",
    "phase",
    "label",
    "score",
    "peak",
    "began",
    "time",
    "duration_s",
    "top",
    "run",
)


def values_of(event: Event, run: str, wall_minus_monotonic_ns: int) -> dict[str, str | float]:
    """What the names stand for; times are wall-clock seconds."""
    told = event.report(wall_minus_monotonic_ns)
    return {"run": run, "time": told["t"]} | {n: told[n] for n in NAMES if n in told}


def check_payload(payload: Payload) -> None:
    """Raise ValueError where a payload names what is none of NAMES, or cannot be JSON."""
    try:
        fill(payload, dict.fromkeys(NAMES, 0.0))
    except KeyError as error:
        name = str(error.args[0])
        near = difflib.get_close_matches(name, NAMES, n=1, cutoff=0.0)[0]
        raise ValueError(f"no value `${name}`; did you mean `${near}`?") from error
    except (TypeError, msgspec.MsgspecError) as error:
        raise ValueError(f"cannot be written as JSON: {error}") from error


def fill(payload: Payload, values: Mapping[str, str | float]) -> bytes:
    """The bytes to send. Raises KeyError for an unknown name, ValueError for a lonely $."""
    if isinstance(payload, str):
        return Template(payload).substitute(values).encode()
    return msgspec.json.encode(_filled(payload, values, MAX_DEPTH))


def _filled(part: Any, values: Mapping[str, str | float], depth: int) -> Any:
    if depth == 0:
        raise ValueError(f"nested deeper than {MAX_DEPTH}")
    if isinstance(part, dict):
        return {key: _filled(value, values, depth - 1) for key, value in part.items()}
    if isinstance(part, list):
        return [_filled(value, values, depth - 1) for value in part]
    if not isinstance(part, str):
        return part
    name = part[2:-1] if part.startswith("${") and part.endswith("}") else part[1:]
    if part.startswith("$") and name in values:
        return values[name]
    return Template(part).substitute(values)
