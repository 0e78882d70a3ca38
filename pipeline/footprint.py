"""How much memory a configuration asks for, and whether this machine has it: told at the start.

Counted is what the file decides: the rings of the cameras and the memory of incidents. A ring is
counted where the size of its pictures is known, by `resize`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pipeline.bus.publisher import LENT_SLOTS, RING_SLOTS
from pipeline.bus.ring import PAGE_BYTES
from pipeline.config import Config
from pipeline.error import ConfigError
from pipeline.record.budget import MB
from pipeline.stream import Camera, Stream

CHANNELS = 3


def ring_slots(line: Stream) -> int:
    """How many pictures the ring of a stream holds.

    Every picture that waits in a queue needs a slot; of `latest` ones only the newest counts, but
    for a recorder.
    """
    queues = line.policy == "queue" or line.record in ("jpeg", "lossless")
    return RING_SLOTS + LENT_SLOTS + (line.bound if queues else 0)


def check(config: Config) -> None:
    """Raise ConfigError if the run would need more memory than is free."""
    parts = dict(_parts(config))
    free_bytes = min(_limits())
    if sum(parts.values()) > free_bytes:
        key = max(parts, key=parts.__getitem__)
        here, total, free = (n / MB for n in (parts[key], sum(parts.values()), free_bytes))
        raise ConfigError(
            f"{key}: takes {here:.0f} MB, all together {total:.0f} MB, and {free:.0f} MB of memory"
            " are free; lower it"
        )


def _parts(config: Config) -> Iterator[tuple[str, int]]:
    """(key, bytes) of everything that is counted."""
    for name, line in config.camera.items():
        if line.source == "remote" or line.resize is None:
            continue
        yield f"camera.{name}.bound", ring_slots(line) * _slot_bytes(line)
    if config.incident.directory:
        # While an incident is written, it is kept beside the next one.
        yield "incident.memory_mb", int(2 * config.incident.memory_mb * MB)


def _slot_bytes(line: Camera) -> int:
    width, height = line.resize or (0, 0)
    return PAGE_BYTES + width * height * CHANNELS


def _limits() -> Iterator[int]:
    """What is free on this machine, and what the control group of this process leaves."""
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            yield int(line.split()[1]) * 1024
    for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
        group = Path("/sys/fs/cgroup") / line.removeprefix("0::/")
        if line.startswith("0::") and (group / "memory.max").is_file():
            limit = (group / "memory.max").read_text(encoding="ascii").strip()
            used = int((group / "memory.current").read_text(encoding="ascii"))
            yield int(limit) - used if limit.isdecimal() else 2**63
