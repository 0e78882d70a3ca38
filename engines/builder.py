"""The process that builds the engines of a bundle, so that nothing else has to wait or to die.

Started with the arguments BUNDLE BACKEND PRECISION CACHE. It says its progress on stdout, a line
of JSON each time, and at the end what went wrong, if anything did.
"""

from __future__ import annotations

import logging
import sys

import msgspec
from msgspec import Struct

from engines.ahead import build_all
from engines.bundle import load_bundle
from engines.error import EngineError
from engines.options import EngineOptions
from engines.progress import Progress

EXIT_FAILED = 1


class Line(Struct, frozen=True, omit_defaults=True):
    """What a builder says: how far it is, or why it gave up."""

    progress: Progress | None = None
    error: str = ""


def say(line: Line) -> None:
    """Write a line to whoever started this process."""
    sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
    sys.stdout.buffer.flush()


def main() -> int:
    """The entry of the process."""
    name, backend, precision, cache = sys.argv[1:]
    logging.basicConfig(level=logging.INFO, format="%(levelname)s process=builder %(message)s")
    options = EngineOptions(precision=precision, cache=cache)
    try:
        build_all(load_bundle(name), backend, options, lambda progress: say(Line(progress)))
    except EngineError as error:
        say(Line(error=str(error)))
        return EXIT_FAILED
    return 0
