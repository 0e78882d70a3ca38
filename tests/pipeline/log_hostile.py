"""Damages logs at random and reads, repairs and sums them up, in a process with little memory.

`python -m tests.pipeline.log_hostile FOLDER CASES SEED` ends with one line of JSON. Anything but
a sample or a LogError ends it with a traceback.
"""

from __future__ import annotations

import json
import os
import random
import resource
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mcap.reader import make_reader
from msgspec.structs import replace

from pipeline.config import Compression
from pipeline.log.form import LogError
from pipeline.log.info import info
from pipeline.log.reader import LogReader
from pipeline.log.repair import repair
from pipeline.log.writer import LogWriter
from pipeline.sample import Label, Sample, Tokens
from tests.pipeline.logged import HEADER, chunk, event, frame
from tests.pipeline.test_wire import SAMPLES

ROOM_BYTES = 256 * 2**20
SLOW_S = 5.0
_BASE: dict[str, Any] = {"seq": 7, "t_capture_ns": 1_000, "t_publish_ns": 2_000}
_TOKENS = frame(1, 0).pixels[0].astype("float32")
KINDS: Sequence[Sample] = (
    *SAMPLES,
    Tokens(**_BASE, stream="tokens/a", of="camera/a", values=_TOKENS),
    Label(**_BASE, stream="label/truth", label="fall", t_until_ns=99),
)
EXTREMES = (0, 1, 0x7F, 2**16, 2**28 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**63, 2**64 - 1)


def bases(folder: Path) -> list[bytes]:
    """Whole logs; and the same ones with no checksum that would stop a reader at the door."""
    made = []
    compressions: tuple[Compression, ...] = ("none", "lz4", "zstd")
    for compression in compressions:
        path = folder / compression
        with LogWriter(path, HEADER, compression=compression) as writer:
            for sample in KINDS:
                writer.write(sample)
            writer.write(frame(9, 3_000), "jpeg")
            for n in range(3):
                writer.write(event(n, n * 300_000_000))
                writer.write(chunk(n, n * 300_000_000, n=40))
        made += [path.read_bytes(), without_checksums(path)]
    return made


def without_checksums(path: Path) -> bytes:
    data = bytearray(path.read_bytes())
    with path.open("rb") as file:
        summary = make_reader(file).get_summary()
    assert summary is not None
    for index in summary.chunk_indexes:
        at = index.chunk_start_offset + 9 + 24
        data[at : at + 4] = bytes(4)
    data[-12:-8] = bytes(4)
    return bytes(data)


def flip(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 1, 2, 8))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def cut(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


def extreme(data: bytearray, rng: random.Random) -> None:
    size = rng.choice((1, 2, 4, 8))
    value = rng.choice(EXTREMES) % 256**size
    at = rng.randrange(len(data) - 8)
    data[at : at + size] = struct.pack("<Q", value)[:size]


def double(data: bytearray, rng: random.Random) -> None:
    a, b = sorted(rng.randrange(len(data)) for _ in range(2))
    at = rng.randrange(len(data))
    data[at:at] = data[a:b]


def drop(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    del data[at : at + rng.choice((1, 8, 100, 1000))]


def blank(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    size = min(rng.choice((1, 8, 512, 4096)), len(data) - at)
    data[at : at + size] = bytes(size)


def noise(data: bytearray, rng: random.Random) -> None:
    at = rng.choice((8, rng.randrange(len(data))))
    data[at:] = rng.randbytes(rng.choice((9, 100, 5000)))


WAYS: Sequence[Callable[[bytearray, random.Random], None]] = (
    flip, flip, flip, cut, extreme, extreme, extreme, double, drop, blank, noise,
)  # fmt: skip


def damaged(base: bytes, rng: random.Random) -> bytes:
    data = bytearray(base)
    for _ in range(rng.choice((1, 1, 2, 3))):
        if len(data) > 16:
            rng.choice(WAYS)(data, rng)
    return bytes(data)


def lying(path: Path, rng: random.Random) -> None:
    """A log that is whole, but whose messages are not what they say."""
    with LogWriter(path, HEADER) as writer:
        for sample in KINDS:
            message = writer.encode(sample)
            data = bytearray(message.parts[0])
            rng.choice((flip, extreme, double, noise, cut))(data, rng)
            writer.append(replace(message, parts=(bytes(data),)))


def outcome(path: Path) -> str:
    """What became of the reading; repair and info must end too."""
    out = path.with_suffix(".out")
    found = "read"
    try:
        with LogReader(path) as reader:
            for _ in reader.samples():
                pass
    except LogError as error:
        assert "\n" not in str(error)
        found = "refused"
    try:
        repaired = repair(path, out)
    except LogError:
        found += ", not repaired"
    else:
        found += {0: "", 1: ", nothing left", 3: ", repaired"}[repaired.exit_code]
        assert repaired.exit_code or found == "read"  # what is whole can be read
        if repaired.repaired:
            with LogReader(out) as reader:  # what was repaired can be read
                assert len(list(reader.samples())) == repaired.messages
                for stream in reader.streams:
                    assert list(reader.samples([stream]))
    try:
        info(path)
    except LogError:
        found += ", no info"
    out.unlink(missing_ok=True)
    return found


def main() -> None:
    folder, n_cases, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    rng = random.Random(seed)
    whole, path = bases(folder), folder / "case"
    for data in whole:
        path.write_bytes(data)
        assert outcome(path) == "read"
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit_bytes = pages * os.sysconf("SC_PAGE_SIZE") + ROOM_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit_bytes, limit_bytes))
    outcomes: Counter[str] = Counter()
    slowest_s = 0.0
    for case in range(n_cases):
        path.unlink()
        if case % 8 == 0:
            lying(path, rng)
        else:
            path.write_bytes(damaged(rng.choice(whole), rng))
        begun_s = time.perf_counter()
        outcomes[outcome(path)] += 1
        slowest_s = max(slowest_s, time.perf_counter() - begun_s)
        assert slowest_s < SLOW_S, case
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
    told = {"outcomes": outcomes, "slowest_s": slowest_s, "grown_mib": grown_kib / 1024}
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
