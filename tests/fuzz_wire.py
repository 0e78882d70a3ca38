"""Coverage-guided fuzzing of the wire decoder: `make soak` runs it for ten minutes.

Any bytes give a sample or a WireError, within an address space of a gigabyte: what a message
claims of its sizes is never believed before it is checked.
"""

from __future__ import annotations

import contextlib
import resource
import socket
import sys
import tempfile
from pathlib import Path

import atheris  # type: ignore[import-not-found, import-untyped, unused-ignore]
import numpy as np

with atheris.instrument_imports(include=["pipeline", "msgspec"]):
    from pipeline.bus import wire
    from pipeline.bus.ring import RingReader, RingWriter, Slot
    from pipeline.error import OverwrittenError, WireError

from tests.pipeline.test_wire import SAMPLES

LIMIT_BYTES = 2**30


def mapped() -> RingReader:
    """A ring with one payload in it, as a reader maps it."""
    writer = RingWriter(4096, n_slots=2)
    writer.claim(24).fill(np.zeros((2, 4, 3), np.uint8), lambda _: None, b"")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        writer.share(ours)
        _, descriptors, _, _ = socket.recv_fds(theirs, 1, 1)
    return RingReader(descriptors[0])


RING = mapped()


STREAMS = sorted({sample.stream for sample in SAMPLES})


def fetch(_: int, index: int, generation: int, size_bytes: int) -> Slot:
    return RING.slot(index, generation, size_bytes)


def decode(data: bytes) -> None:
    with contextlib.suppress(WireError):
        wire.decode(data)
    # As a subscriber does: the topic is right, or the message had not come.
    stream = STREAMS[len(data) % len(STREAMS)]
    try:
        wire.Decoder(stream, fetch).decode(wire.topic(stream) + data)
    except (WireError, OverwrittenError):
        return


def main() -> None:
    with tempfile.TemporaryDirectory() as corpus:
        for number, sample in enumerate(SAMPLES):
            Path(corpus, str(number)).write_bytes(wire.encode(sample, wire.stamp_of(sample)))
        resource.setrlimit(resource.RLIMIT_AS, (LIMIT_BYTES, LIMIT_BYTES))
        atheris.Setup([*sys.argv, corpus], decode)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
