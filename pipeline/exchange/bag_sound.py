"""The sound in ROS messages (audio_common_msgs) as chunks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.exchange.incoming import NS_PER_S, ExchangeError
from pipeline.exchange.sound import MAX_CHANNELS, MAX_RATE_HZ, Block, chunks, to_mono
from pipeline.sample import AudioChunk

AUDIO_INFO = "audio_common_msgs/msg/AudioInfo"
# The times of receipt jitter by tens of milliseconds; lost sound is longer.
TOLERANCE_NS = 50_000_000
_TYPES = {"S16LE": "<i2", "S16BE": ">i2", "S32LE": "<i4", "F32LE": "<f4", "S8": "i1", "U8": "u1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundFormat:
    """How the bytes of a message are to be read. The default is that of audio_capture."""

    rate_hz: int = 16_000
    n_channels: int = 1
    dtype: str = "<i2"


def sound_format(info: Any, left_out: Counter[str]) -> SoundFormat:
    """The form of the sound, as an AudioInfo message says it, if any. Raises ExchangeError."""
    if info is None:
        left_out["topics of sound without AudioInfo, read as S16LE of 16 kHz, mono"] += 1
        return SoundFormat()
    n_channels, rate_hz = int(info.channels), int(info.sample_rate)
    coding, form = str(info.coding_format).lower(), str(info.sample_format).upper()
    if coding not in ("", "wave", "wav", "raw", "pcm") or form not in _TYPES:
        raise ExchangeError(f"sound as {coding[:40]!r}, {form[:40]!r} cannot be taken: record wave")
    if not (0 < n_channels <= MAX_CHANNELS and 0 < rate_hz <= MAX_RATE_HZ):
        raise ExchangeError(f"sound of {n_channels} channels at {rate_hz} Hz cannot be taken")
    return SoundFormat(rate_hz=rate_hz, n_channels=n_channels, dtype=_TYPES[form])


def sound_of(
    messages: Iterable[tuple[int, Any, str]],
    form: SoundFormat,
    *,
    stream: str,
    to_hz: int,
    left_out: Counter[str],
) -> Iterator[AudioChunk]:
    """The chunks of (time of receipt, AudioData or AudioDataStamped, type)."""
    blocks = (_block(received_ns, message, form) for received_ns, message, _ in messages)
    yield from chunks(
        blocks, stream=stream, to_hz=to_hz, tolerance_ns=TOLERANCE_NS, left_out=left_out
    )


def _block(received_ns: int, message: Any, form: SoundFormat) -> Block:
    """A stamp is the time of the first sample; without one the last has just been received."""
    data = np.ascontiguousarray(getattr(message, "audio", message).data, np.uint8).tobytes()
    dtype = np.dtype(form.dtype)
    n = len(data) // (dtype.itemsize * form.n_channels)
    pcm = np.frombuffer(data, dtype, n * form.n_channels).reshape(n, form.n_channels)
    t_ns = received_ns - n * NS_PER_S // form.rate_hz
    header = getattr(message, "header", None)
    if header is not None and header.stamp.sec:
        t_ns = int(header.stamp.sec) * NS_PER_S + int(header.stamp.nanosec)
    return Block(t_ns=t_ns, rate_hz=form.rate_hz, wave=to_mono(pcm))
