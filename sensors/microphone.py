"""Sound from an input of the machine, or from an audio file played in real time."""

from __future__ import annotations

import queue
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from pipeline.error import ConfigError, SensorLostError
from pipeline.sample import AudioChunk, Int16Array, read_only
from pipeline.stream import Microphone
from sensors.drift import Drift
from sensors.portaudio import Block, SoundInput, imported
from sensors.sound import CHUNK_MS, NS_PER_S, ChunkCutter, Timeline

POLL_S = 0.1
FIRST_BLOCK_LIMIT_S = 4.0  # a sound server was seen to take over 2 s to start
STALL_LIMIT_S = 0.5
LATE_NS = NS_PER_S
FILE_SUFFIXES = (".wav", ".flac", ".ogg")

# The capture time of the first sample, the time when all is there, and int16 (n, channels).
TimedPcm: TypeAlias = tuple[int, int, Int16Array]


def chunks(
    config: Microphone, *, stream: str, counters: dict[str, int] | None = None
) -> Generator[AudioChunk | None, None, None]:
    """Chunks of CHUNK_MS, int16 (n, channels), at `sample_rate_hz`.

    An input gives one channel where it can, a file those that it has. Counts `overflow` (the
    device lost sound), `late` (blocks too old to use), `jumps` (of the time line), and for a file
    `paused` (it fell too far behind to catch up). Of an input there is also `drift_ppm`, once it is
    known: above zero its clock is fast. Raises ConfigError, SensorLostError.
    """
    counters = {} if counters is None else counters
    for name in ("overflow", "late", "jumps", "paused"):
        counters.setdefault(name, 0)
    make = _played if _names_file(str(config.source)) else _heard
    seq = 0
    with closing(make(config, counters)) as sound:
        for timed in sound:
            if timed is None:
                yield None
                continue
            t_capture_ns, t_publish_ns, pcm = timed
            yield AudioChunk(
                stream=stream,
                seq=seq,
                t_capture_ns=t_capture_ns,
                t_publish_ns=t_publish_ns,
                pcm=read_only(pcm),
                rate_hz=config.sample_rate_hz,
            )
            seq += 1


def _names_file(source: str) -> bool:
    path = Path(source)
    looks_so = path.is_absolute() or path.suffix.lower() in FILE_SUFFIXES
    return looks_so or (path.is_file() and not source.isdecimal())


def _heard(config: Microphone, counters: dict[str, int]) -> Generator[TimedPcm | None, None, None]:
    with closing(SoundInput(config.source, config.sample_rate_hz)) as device:
        hearing = Hearing(device, config.sample_rate_hz, counters)
        limit_s = FIRST_BLOCK_LIMIT_S
        while True:
            block = yield from _next_block(device, limit_s)
            limit_s = STALL_LIMIT_S
            yield from hearing.take(block, time.monotonic_ns())
            yield None


def _next_block(device: SoundInput, limit_s: float) -> Generator[None, None, Block]:
    """Wait, in turns: after a freeze of this very process only one turn is lost, not the device."""
    for _ in range(round(limit_s / POLL_S)):
        try:
            return device.blocks.get(timeout=POLL_S)
        except queue.Empty:
            if device.finished.is_set():
                raise SensorLostError(f"microphone {device.source}: the device went away") from None
            yield None
    raise SensorLostError(f"microphone {device.source}: no sound for {limit_s:g} s")


class Hearing:
    """Makes chunks of the blocks of one input. Begins anew after blocks that came too late."""

    def __init__(self, device: SoundInput, to_hz: int, counters: dict[str, int]) -> None:
        self._device = device
        self._to_hz = to_hz
        self._counters = counters
        self._newest_ns = 0
        self._drift = Drift()
        counters.pop("drift_ppm", None)  # what is open now may be another device
        self._begin()

    def _begin(self) -> None:
        from_hz, n_channels = self._device.rate_hz, self._device.n_channels
        self._cutter = ChunkCutter(from_hz, self._to_hz, n_channels)
        self._timeline: Timeline | None = None
        self._drift.begin()
        self._n_taken = 0

    def take(self, block: Block, now_ns: int) -> list[TimedPcm]:
        """The chunks, mostly none or one, that the block completes."""
        self._counters["overflow"] += block.overflow
        if now_ns - block.captured_ns > LATE_NS:
            self._counters["late"] += 1
            self._begin()
            return []
        timeline = self._timeline = self._timeline or Timeline(block.captured_ns, self._drift)
        position_ns = self._n_taken * NS_PER_S // self._device.rate_hz
        self._counters["jumps"] += timeline.observe(position_ns, block.captured_ns)
        self._tell_drift()
        self._n_taken += len(block.pcm)
        cut = self._cutter.feed(block.pcm)
        return [
            (self._stamp(timeline.time_ns(at_ns), pcm, now_ns), now_ns, pcm) for at_ns, pcm in cut
        ]

    def _tell_drift(self) -> None:
        if (ppm := self._drift.ppm) is None:
            self._counters.pop("drift_ppm", None)
        else:
            self._counters["drift_ppm"] = round(ppm)

    def _stamp(self, t_capture_ns: int, pcm: Int16Array, now_ns: int) -> int:
        """The time line's answer, but no chunk ends in the future or begins before the last."""
        possible_ns = now_ns - len(pcm) * NS_PER_S // self._to_hz
        self._newest_ns = max(min(t_capture_ns, possible_ns), self._newest_ns + 1)
        return self._newest_ns


def _played(config: Microphone, counters: dict[str, int]) -> Generator[TimedPcm | None, None, None]:
    soundfile = imported("soundfile")
    if not Path(str(config.source)).is_file():
        raise ConfigError(f"{config.source}: is no file")
    try:
        sound = soundfile.SoundFile(config.source)
    except soundfile.LibsndfileError as error:
        raise ConfigError(f"{config.source}: is no sound that can be read: {error}") from error
    with sound:
        cutter = ChunkCutter(sound.samplerate, config.sample_rate_hz, sound.channels)
        start_ns = time.monotonic_ns()
        for block, last in _file_blocks(sound, config):
            for at_ns, pcm in cutter.feed(block, last=last):
                t_end_ns = start_ns + at_ns + len(pcm) * NS_PER_S // config.sample_rate_hz
                if (behind_ns := time.monotonic_ns() - t_end_ns) > LATE_NS:
                    counters["paused"] += 1
                    start_ns += behind_ns
                    t_end_ns += behind_ns
                yield start_ns + at_ns, t_end_ns, pcm


def _file_blocks(sound: Any, config: Microphone) -> Iterator[tuple[Int16Array, bool]]:
    """int16 blocks of CHUNK_MS and whether it is the last; read as float, which scales any file."""
    n_read = 0
    size = max(1, sound.samplerate * CHUNK_MS // 1000)
    while True:
        wave = np.nan_to_num(sound.read(size, dtype="float32", always_2d=True))
        n_read += len(wave)
        if not n_read:
            raise ConfigError(f"{config.source}: holds no sound")
        if not len(wave) and config.loop:
            sound.seek(0)
            n_read = 0
            continue
        yield np.clip(np.rint(wave * 32768), -32768, 32767).astype(np.int16), not len(wave)
        if not len(wave):
            return
