"""What the doctor says of one thing: there or not, what it is, and what to type."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from msgspec import Struct

State = Literal["ok", "absent", "wrong"]
LIMIT_S = 15.0


class Finding(Struct, frozen=True, kw_only=True):
    """`absent` is no fault by itself: it becomes one where a configuration needs it."""

    what: str
    state: State
    said: str
    todo: str = ""


def ok(what: str, said: str) -> Finding:
    """It is there and works."""
    return Finding(what=what, state="ok", said=said)


def absent(what: str, said: str, todo: str = "") -> Finding:
    """It is not there."""
    return Finding(what=what, state="absent", said=said, todo=todo)


def wrong(what: str, said: str, todo: str) -> Finding:
    """It is there and does not work as it should."""
    return Finding(what=what, state="wrong", said=said, todo=todo)


def text_of(path: Path) -> str:
    """What a file of the kernel says, or nothing."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0 \n")
    except OSError:
        return ""


def output_of(command: Sequence[str]) -> str | None:
    """What a program prints, or None where it is not there, fails or does not end."""
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command, env=environment, timeout=LIMIT_S, capture_output=True, text=True, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
