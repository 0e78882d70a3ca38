"""Numbers on the command line: each is read and checked, or refused in one line."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

LEAST = 1e-9  # the least number that is above 0


def whole(what: str, least: int, most: int = 10**9) -> Callable[[str], int]:
    """Reads a whole number from `least` to `most`; the refusal says that it is no `what`."""

    def read(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no {what}")
        return int(text)

    return read


def number(what: str, least: float = LEAST, most: float = 1e9) -> Callable[[str], float]:
    """Reads a finite number from `least` to `most`; the refusal says that it is no `what`."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no {what}")
        return value

    return read


count = whole("whole number above 0", 1)
seconds = number("number of seconds above 0")
seconds_or_none = number("number of seconds", 0)
positive = number("number above 0")
