"""Coverage-guided fuzzing of the wire decoder: `make soak` runs it for ten minutes.

Any bytes give a sample or a WireError, within an address space of a gigabyte: what a message
claims of its sizes is never believed before it is checked.
"""

from __future__ import annotations

import resource
import socket
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import atheris  # type: ignore[import-not-found, import-untyped, unused-ignore]

with atheris.instrument_imports(include=["pipeline", "msgspec"]):
    from pipeline import wire
    from pipeline.error import OverwrittenError, WireError
    from pipeline.ring import Place, RingReader, RingWriter

from tests.pipeline.test_wire import SAMPLES

LIMIT_BYTES = 2**30


def mapped() -> RingReader:
    """A ring with one payload in it, as a reader maps it."""
    writer = RingWriter(4096, n_slots=2)
    writer.write(memoryview(bytes(24)))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        writer.share(ours)
        _, descriptors, _, _ = socket.recv_fds(theirs, 1, 1)
    return RingReader(descriptors[0])


RING = mapped()


def fetch(place: Place) -> tuple[memoryview, Callable[[], bool]]:
    return RING.view(place), partial(RING.holds, place)


def decode(data: bytes) -> None:
    try:
        wire.decode(data, fetch)
    except (WireError, OverwrittenError):
        return


def main() -> None:
    with tempfile.TemporaryDirectory() as corpus:
        for number, sample in enumerate(SAMPLES):
            Path(corpus, str(number)).write_bytes(wire.encode(sample))
        resource.setrlimit(resource.RLIMIT_AS, (LIMIT_BYTES, LIMIT_BYTES))
        atheris.Setup([*sys.argv, corpus], decode)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
