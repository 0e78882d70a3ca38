"""Publisher and readers of a ring are killed at random: no torn picture, no leak, ever.

`pytest tests/system/test_ring_chaos.py --kills 2000` is the long form. The seed is printed.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import struct
import time
import zlib
from collections.abc import Iterator
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

import numpy as np
import pytest

from pipeline.bus.publisher import Publisher
from pipeline.bus.ring import RING_NAME
from pipeline.bus.subscriber import Subscriber
from pipeline.sample import Frame, UInt8Array
from pipeline.stream import Camera
from tests import parts

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

STREAM = "camera/a"
SHAPE = (640, 800, 3)  # a third is copied before it is announced, the rest after
N_READERS = 3
TORN = 9  # exit code of a reader that took a torn picture for a whole one
COUNTS = struct.Struct("<QQ")  # whole pictures, pictures that were overwritten in use


def publish(endpoint: str) -> None:
    """Send pictures of random bytes, each with the checksum of all the others in front."""
    rng = np.random.default_rng()
    with Publisher(endpoint, slots=3) as publisher:
        while True:
            pixels = rng.integers(0, 256, SHAPE, np.uint8)
            pixels.reshape(-1)[:4].view(np.uint32)[0] = checksum(pixels)
            frame = Frame(stream=STREAM, seq=0, t_capture_ns=0, t_publish_ns=0, pixels=pixels)
            publisher.send(frame)
            publisher.wait_for_subscriber(STREAM, 0.001)


def checksum(pixels: UInt8Array) -> int:
    return zlib.crc32(pixels.reshape(-1)[4:].tobytes())


def read(endpoint: str, report: str) -> None:
    """Check every picture; end at once with TORN if one that is intact is wrong."""
    n_whole = n_overwritten = 0
    subscriber = Subscriber({STREAM: (endpoint, Camera(source=""))})
    with open(report, "r+b", buffering=0) as file:
        while True:
            for frame in subscriber.receive(100):
                assert isinstance(frame, Frame)
                right = checksum(frame.pixels) == frame.pixels.reshape(-1)[:4].view(np.uint32)[0]
                intact = frame.intact()
                if intact and not right:
                    os._exit(TORN)
                n_whole, n_overwritten = n_whole + intact, n_overwritten + (not intact)
                os.pwrite(file.fileno(), COUNTS.pack(n_whole, n_overwritten), 0)


class Herd:
    """One publisher and its readers, each a process forked from a warmed one."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.endpoint = folder, f"ipc://{folder}/s.ipc"
        self._context: ForkServerContext = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tests.system.test_ring_chaos"])
        self.publisher = self._start(publish, self.endpoint)
        self.readers = [self.start_reader(number) for number in range(N_READERS + 1)]

    def _start(self, target: object, *arguments: str) -> ForkServerProcess:
        process = self._context.Process(target=target, args=arguments, daemon=True)  # type: ignore[arg-type]
        process.start()
        return process

    def _report(self, number: int) -> Path:
        return self._folder / f"reader-{number}"

    def start_reader(self, number: int) -> ForkServerProcess:
        self._report(number).write_bytes(COUNTS.pack(0, 0))
        return self._start(read, self.endpoint, str(self._report(number)))

    def restart_publisher(self) -> None:
        end(self.publisher)
        self.publisher = self._start(publish, self.endpoint)

    def restart_reader(self, number: int) -> None:
        end(self.readers[number])
        self.readers[number] = self.start_reader(number)

    def counts(self, number: int) -> tuple[int, int]:
        whole, overwritten = COUNTS.unpack(self._report(number).read_bytes())
        return whole, overwritten

    def wait_for_progress(self) -> None:
        """Every reader gets whole pictures."""
        before = [self.counts(number)[0] for number in range(len(self.readers))]
        for number, reader in enumerate(self.readers):
            parts.wait_until(lambda n=number: self.counts(n)[0] > before[n] + 1)  # type: ignore[misc]
            assert reader.is_alive()

    def close(self) -> None:
        for process in (self.publisher, *self.readers):
            end(process)


def end(process: ForkServerProcess) -> None:
    assert process.pid is not None
    assert process.exitcode != TORN, "a torn picture was taken for a whole one"
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert process.exitcode != TORN, "a torn picture was taken for a whole one"


def held(process: ForkServerProcess) -> tuple[int, int]:
    """How many descriptors and ring mappings a process has."""
    folder = Path(f"/proc/{process.pid}")
    maps = (folder / "maps").read_text(encoding="utf-8").count(RING_NAME)
    return len(list((folder / "fd").iterdir())), maps


@pytest.fixture
def herd(tmp_path: Path) -> Iterator[Herd]:
    made = Herd(tmp_path)
    yield made
    made.close()


def test_random_kills(herd: Herd, request: pytest.FixtureRequest) -> None:
    seed = time.time_ns() % 2**32
    print(f"seed {seed}")  # noqa: T201
    rng, n_kills = np.random.default_rng(seed), request.config.getoption("--kills")
    herd.wait_for_progress()
    for kill in range(n_kills):
        if rng.random() < 0.3:
            herd.restart_publisher()
        else:
            herd.restart_reader(int(rng.integers(1, N_READERS + 1)))
        if rng.random() < 0.5:
            herd.wait_for_progress()
        if kill == n_kills // 10:
            herd.wait_for_progress()
            early = held(herd.readers[0])
    herd.wait_for_progress()
    assert held(herd.readers[0]) == early
    publisher_early = held(herd.publisher)
    for _ in range(10):
        herd.restart_reader(1)
        herd.wait_for_progress()
    assert held(herd.publisher) == publisher_early


def test_a_stopped_and_a_killed_reader_disturb_nobody(herd: Herd) -> None:
    """The others go on, and neither the publisher's memory nor its rate depends on them."""
    herd.wait_for_progress()
    rate_before = rate(herd)
    memory_before = resident_bytes(herd.publisher)
    assert herd.readers[1].pid is not None
    os.kill(herd.readers[1].pid, signal.SIGSTOP)
    end(herd.readers[2])
    try:
        assert rate(herd) > rate_before / 3
        # It makes 300 more meanwhile, and holds a few at a time.
        assert resident_bytes(herd.publisher) - memory_before < 4 * math.prod(SHAPE)
    finally:
        os.kill(herd.readers[1].pid, signal.SIGCONT)
        herd.readers[2] = herd.start_reader(2)
    herd.wait_for_progress()


def rate(herd: Herd) -> float:
    """Pictures a second that the first reader gets."""
    began_s, before = time.monotonic(), sum(herd.counts(0))
    parts.wait_until(lambda: sum(herd.counts(0)) > before + 300, 30.0)
    return (sum(herd.counts(0)) - before) / (time.monotonic() - began_s)


def resident_bytes(process: ForkServerProcess) -> int:
    lines = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))
