"""A process that wants an engine: FOLDER GRAPH PLAN_BYTES HOW.

The plan repeats the graph's name up to its size; each build appends a line to FOLDER/builds. HOW
is `now`, or `told`: then the build says that it began, and waits for a line.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys
from pathlib import Path

from engines.error import EngineError
from engines.tensorrt.cache import Cache
from tests.engines.tensorrt.keys import key


def main() -> int:
    folder, graph, plan_bytes, how = sys.argv[1:]
    logging.basicConfig(level=logging.INFO)
    cache = Cache(str(Path(folder) / "engines"))

    def build() -> bytes:
        with open(Path(folder) / "builds", "a", encoding="ascii") as file:
            file.write(f"{os.getpid()}\n")
        if how == "told":
            sys.stdout.write("building\n")
            sys.stdout.flush()
            sys.stdin.readline()
        return plan(graph, int(plan_bytes))

    try:
        got = cache.get(key(graph), graph, build)
    except EngineError as error:
        sys.stdout.write(f"refused: {error}\n")
        return 1
    sys.stdout.write(hashlib.sha256(got).hexdigest() + "\n")
    return 0


def plan(graph: str, plan_bytes: int) -> bytes:
    return (graph.encode() * (plan_bytes // len(graph) + 1))[:plan_bytes]


if __name__ == "__main__":
    sys.exit(main())
