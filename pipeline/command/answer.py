"""What `--json` ends with."""

from __future__ import annotations

import sys
from typing import Any

import msgspec


def print_json(result: Any) -> int:
    """Write one line of JSON; returns the exit code 0."""
    sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
    return 0
