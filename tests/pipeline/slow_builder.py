"""A builder process that does as it is told: a line on a named pipe for each step.

Its lines are those of engines.builder; `fail` ends it with an error, `die` without a word.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import IO

from engines.builder import EXIT_FAILED, Line, say
from engines.progress import Progress


class Orders:
    """What the slow builder is told."""

    def __init__(self, folder: Path) -> None:
        path = folder / "orders"
        os.mkfifo(path)
        self.command = ["tests.pipeline.slow_builder", str(path)]
        self._path = path

    def open(self) -> IO[str]:
        return open(self._path, "w", buffering=1, encoding="ascii")


def main() -> int:
    with open(sys.argv[1], encoding="ascii") as orders:
        for order in orders:
            match order.strip():
                case "fail":
                    say(Line(error="image.onnx: operator Foo (node_1): no kernel"))
                    return EXIT_FAILED
                case "die":
                    os._exit(9)
                case share:
                    sys.stdout.write("a library speaks\n")
                    say(
                        Line(
                            progress=Progress(
                                source="image.onnx", share=float(share), passed_s=1.0, left_s=25.0
                            )
                        )
                    )
    return 0
