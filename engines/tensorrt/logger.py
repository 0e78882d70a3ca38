"""TensorRT's logger: it keeps what went wrong, which is then raised."""

from __future__ import annotations

import logging
from typing import Any

ERRORS = ("ERROR", "INTERNAL_ERROR")

log = logging.getLogger(__name__)


def make_log(trt: Any) -> Any:
    """A logger for a module of bindings: `errors`, and `take`, which returns and forgets them.

    The first logger of a process wins, so that there may be only one, kept alive to the end.
    """

    class Log(trt.ILogger):  # type: ignore[misc]  # the bindings have no types
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, text: str) -> None:
            """What TensorRT calls."""
            if severity.name in ERRORS:
                self.errors.append(" ".join(text.split()))
            else:
                log.debug("%s: %s", severity.name.lower(), text)

        def take(self) -> list[str]:
            """The errors since the last call."""
            taken, self.errors = self.errors, []
            return taken

    return Log()
