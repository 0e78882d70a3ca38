"""The run that `chaos` starts: as `sensorium run` does it, but for the module of its sensors.

Started by `chaos` with the arguments FOLDER CONFIG; prints what `sensorium run --json` does.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import msgspec

from engines.error import EngineError
from pipeline import child
from pipeline.error import SensoriumError
from pipeline.runner import run
from pipeline.summary import Summary

log = logging.getLogger(__name__)


def main() -> int:
    """The entry of the process."""
    folder, path = sys.argv[1:3]
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    try:
        config = child.read_config(Path(path))
        sensor = ("sensors.faulty", folder)
        result = run(config, seconds=None, summary=Summary(), sensor=sensor)
    except (SensoriumError, EngineError) as error:
        log.error("%s", error)
        return child.EXIT_FAILED
    sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
