"""How a process of a run starts: tied to its supervisor first, its own modules only then."""

from __future__ import annotations

import ctypes
import importlib
import os
import signal
import sys
from collections.abc import Callable, Sequence

PR_SET_PDEATHSIG = 1  # prctl(2)
# A folder of the user's that is called pipeline or sensors must not be taken for ours; what keeps
# the working directory off the path by itself needs Python 3.11.
START = (
    "import sys; sys.path[:] = [p for p in sys.path if p]; "
    "from pipeline.boot import main; sys.exit(main())"
)


def command(module: str, arguments: Sequence[str]) -> list[str]:
    """What to execute so that `main` of a module runs as a child of this process."""
    return [sys.executable, "-c", START, module, str(os.getpid()), *arguments]


def main() -> int:
    """End with the parent from now on; run the module that argv names on the rest of argv."""
    module, parent = sys.argv[1], int(sys.argv[2])
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it ended before it could be said
        return 1
    sys.argv[1:] = sys.argv[3:]
    work: Callable[[], int] = importlib.import_module(module).main
    return work()
