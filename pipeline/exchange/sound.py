"""Sound of any rate and block size as chunks of one rate, each with the time of its first sample.

Samples are evenly spaced, so within a run their count is the clock; a block whose own time is off
by more than the tolerance means that sound is missing, and a new run begins.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.exchange.incoming import NS_PER_S, ExchangeError
from pipeline.sample import AudioChunk, Float32Array, Int16Array, read_only

CHUNK_MS = 100  # as a microphone makes them
FULL_SCALE = 32768
MAX_RATE_HZ = 768_000
MAX_CHANNELS = 64
OVERLAP = "samples of sound that overlap earlier ones"
EARLY = "samples of sound before time 0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Mono sound, float32 (n,) within -1 and 1, and the time of its first sample."""

    t_ns: int
    rate_hz: int
    wave: Float32Array


class _Run:
    """Sound without a gap: resamples it (soxr takes its own delay out) and cuts it into chunks."""

    def __init__(self, block: Block, to_hz: int) -> None:
        self.rate_hz, self._start_ns, self._to_hz = block.rate_hz, block.t_ns, to_hz
        self._n_fed = self._n_cut = 0
        self._held = np.zeros(0, np.int16)
        self._resampler: Any = None
        if block.rate_hz != to_hz:
            self._resampler = _soxr().ResampleStream(block.rate_hz, to_hz, 1, dtype="float32")

    @property
    def next_ns(self) -> int:
        """When the next sample is due."""
        return self._start_ns + self._n_fed * NS_PER_S // self.rate_hz

    def feed(self, wave: Float32Array, *, last: bool = False) -> Iterator[tuple[int, Int16Array]]:
        """Take sound; give (time, int16 (n, 1)) of each whole chunk, with `last` of the rest."""
        self._n_fed += len(wave)
        if self._resampler is not None:
            wave = self._resampler.resample_chunk(wave, last=last)
        self._held = np.concatenate([self._held, to_pcm(wave)])
        size = max(1, self._to_hz * CHUNK_MS // 1000)
        while len(self._held) >= size or (last and len(self._held)):
            chunk, self._held = self._held[:size], self._held[size:]
            yield self._start_ns + self._n_cut * NS_PER_S // self._to_hz, chunk.reshape(-1, 1)
            self._n_cut += len(chunk)


def chunks(
    blocks: Iterable[Block],
    *,
    stream: str,
    to_hz: int,
    tolerance_ns: int,
    left_out: Counter[str],
) -> Iterator[AudioChunk]:
    """Chunks of CHUNK_MS, mono. What lies before time 0 or overlaps is counted in `left_out`."""
    cut = _cut(blocks, to_hz, tolerance_ns, left_out)
    for seq, (t_capture_ns, pcm) in enumerate(cut):
        yield AudioChunk(
            stream=stream,
            seq=seq,
            t_capture_ns=t_capture_ns,
            t_publish_ns=t_capture_ns + len(pcm) * NS_PER_S // to_hz,
            pcm=read_only(pcm),
            rate_hz=to_hz,
        )


def to_pcm(wave: Float32Array) -> Int16Array:
    """float32 within -1 and 1 as int16 of the same shape."""
    scaled = np.rint(np.nan_to_num(wave) * np.float32(FULL_SCALE))
    pcm: Int16Array = np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
    return pcm


def to_mono(pcm: np.ndarray[Any, Any]) -> Float32Array:
    """Sound (n, channels) of any PCM type as float32 (n,) within -1 and 1."""
    mono: Float32Array = pcm.astype(np.float32).mean(axis=1, dtype=np.float32)
    if pcm.dtype.kind in "iu":
        full = np.float32(2 ** (8 * pcm.dtype.itemsize - 1))
        mono = (mono - (full if pcm.dtype.kind == "u" else 0)) / full
    return mono


def _cut(
    blocks: Iterable[Block], to_hz: int, tolerance_ns: int, left_out: Counter[str]
) -> Iterator[tuple[int, Int16Array]]:
    run: _Run | None = None
    for given in blocks:
        block = _from(0, given, left_out, EARLY)
        if run and run.next_ns - block.t_ns > tolerance_ns:
            block = _from(run.next_ns, block, left_out, OVERLAP)
        if not len(block.wave):
            continue
        if run and (block.t_ns - run.next_ns > tolerance_ns or block.rate_hz != run.rate_hz):
            yield from run.feed(np.zeros(0, np.float32), last=True)
            run = None
        run = run or _Run(block, to_hz)
        yield from run.feed(block.wave)
    if run:
        yield from run.feed(np.zeros(0, np.float32), last=True)


def _from(start_ns: int, block: Block, left_out: Counter[str], why: str) -> Block:
    """The part of the block that does not lie before a time."""
    n = min(len(block.wave), -((block.t_ns - start_ns) * block.rate_hz // NS_PER_S))
    if n <= 0:
        return block
    left_out[why] += n
    t_ns = block.t_ns + n * NS_PER_S // block.rate_hz
    return Block(t_ns=max(t_ns, start_ns), rate_hz=block.rate_hz, wave=block.wave[n:])


def _soxr() -> Any:
    try:
        import soxr
    except ImportError as error:
        raise ExchangeError("resampling needs soxr: pip install 'sensorium[media]'") from error
    return soxr
