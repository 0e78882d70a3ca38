"""A process that writes a log until it is killed, and says on stdout what it has written."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import cast

from msgspec.structs import replace

from pipeline.config import Compression
from pipeline.log.form import LogHeader
from pipeline.log.writer import LogWriter
from pipeline.sample import Sample
from tests.pipeline.logged import chunk, event, frame


def main() -> None:
    path, compression = Path(sys.argv[1]), cast(Compression, sys.argv[2])
    header = LogHeader(monotonic_ns=time.monotonic_ns(), wall_ns=time.time_ns())
    picture = frame(0, 0, (120, 160))
    with LogWriter(path, header, compression=compression) as writer:
        for seq in range(10**9):
            for made in (picture, chunk(0, 0), event(0, 0)):
                sample: Sample = made
                now_ns = time.monotonic_ns()
                writer.write(replace(sample, seq=seq, t_capture_ns=now_ns, t_publish_ns=now_ns))
            sys.stdout.write(f"{seq} {time.monotonic_ns()}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
