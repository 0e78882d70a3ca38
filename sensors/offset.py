"""What a device is late by, taken from its capture times before anybody sees them."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing

from msgspec.structs import replace

from pipeline.sample import Sample, Source


def earlier(source: Source, offset_ns: int) -> Source:
    """The source, whose samples were captured `offset_ns` before what the device says.

    When they are published stays as it is.
    """

    def samples() -> Generator[Sample | None, None, None]:
        with closing(source()) as made:
            for sample in made:
                if sample is None:
                    yield None
                else:
                    yield replace(sample, t_capture_ns=sample.t_capture_ns - offset_ns)

    return samples if offset_ns else source
