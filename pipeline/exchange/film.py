"""A film with sound and subtitles as three streams; a sound file is a film without pictures.

Each track is read by its own pass over the file, so that nothing has to be held back. What lies
before time 0 is not shown by a player, and is left out and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.exchange import media, subtitle
from pipeline.exchange.incoming import (
    NS_PER_S,
    ExchangeError,
    Incoming,
    Options,
    imported,
    stream_name,
    to_ns,
)
from pipeline.exchange.picture import check_size
from pipeline.exchange.sound import MAX_CHANNELS, MAX_RATE_HZ, Block, chunks, to_mono
from pipeline.sample import Frame, Sample, UInt8Array, read_only

FILM_SUFFIXES = (".mp4", ".mkv", ".mov", ".webm", ".avi", ".m4v", ".ts", ".mpg", ".mpeg")
SOUND_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".aac")
# Containers round the times of blocks, to 1 ms at worst; lost sound is longer than this.
TOLERANCE_NS = 10_000_000
MICROSECOND_NS = 1000
KINDS = {"camera": "video", "microphone": "audio"}  # {kind of stream: kind of track}


def open_film(path: Path, options: Options) -> Incoming:
    """camera/NAME, microphone/NAME and text/NAME of what the file holds. Raises ExchangeError."""
    left_out: Counter[str] = Counter()
    name = options.name or stream_name(path.stem)
    with media.opened(path) as container:
        found = {kind: media.tracks(container, kind) for kind in ("video", "audio", "subtitle")}
        _check(path, found)
        begun_wall_ns = _begun_wall_ns(container.metadata)
        length_s = (container.duration or 0) * MICROSECOND_NS / NS_PER_S
        index = {kind: tracks[0].index for kind, tracks in found.items() if tracks}
    for kind, tracks in found.items():
        left_out[f"further {kind} tracks"] += max(0, len(tracks) - 1)
    streams: list[Iterator[Sample]] = []
    if "video" in index:
        streams.append(_frames(path, index["video"], f"camera/{name}", left_out))
    if "audio" in index:
        blocks = sound_blocks(path, left_out, index=index["audio"])
        streams.append(
            chunks(
                blocks,
                stream=f"microphone/{name}",
                to_hz=options.sample_rate_hz,
                tolerance_ns=TOLERANCE_NS,
                left_out=left_out,
            )
        )
    names = [f"{kind}/{name}" for kind, of in KINDS.items() if of in index]
    if subtitle.beside(path) or "subtitle" in index:
        names.append(f"text/{name}")
    texts = subtitle.events(path, index.get("subtitle"), f"text/{name}", left_out)
    header = imported(names, begun_wall_ns)
    return Incoming(header=header, streams=[*streams, texts], left_out=left_out, length_s=length_s)


def sound_blocks(path: Path, left_out: Counter[str], index: int | None = None) -> Iterator[Block]:
    """The sound of a file, of its default track if no index is given. Raises ExchangeError."""
    with media.opened(path) as container:
        if index is None:
            if not (found := media.tracks(container, "audio")):
                raise ExchangeError(f"{path}: holds no sound")
            index = found[0].index
        track = container.streams[index]
        media.check_codec(path, track)
        for _, block in media.decoded(container, track, left_out):
            n_channels, rate_hz = len(block.layout.channels), block.sample_rate
            if not (0 < n_channels <= MAX_CHANNELS and 0 < rate_hz <= MAX_RATE_HZ):
                raise ExchangeError(f"{path}: {n_channels} channels at {rate_hz} Hz are too many")
            if block.pts is None:
                left_out["blocks of sound without a time"] += 1
                continue
            yield Block(t_ns=to_ns(block.pts, block.time_base), rate_hz=rate_hz, wave=_wave(block))


def _wave(block: Any) -> Any:
    pcm = block.to_ndarray()
    by_time = pcm.T if block.format.is_planar else pcm.reshape(block.samples, -1)
    return to_mono(by_time)


def _check(path: Path, found: dict[str, list[Any]]) -> None:
    if path.suffix.lower() in FILM_SUFFIXES and not found["video"]:
        raise ExchangeError(f"{path}: holds no video stream")
    if not found["video"] and not found["audio"]:
        raise ExchangeError(f"{path}: holds neither pictures nor sound")
    for kind in ("video", "audio"):
        for track in found[kind][:1]:
            media.check_codec(path, track)
            if kind == "video" and track.width:  # else the first picture tells
                _check_size(path, track)


def _frames(path: Path, index: int, stream: str, left_out: Counter[str]) -> Iterator[Frame]:
    with media.opened(path) as container:
        track: Any = container.streams[index]
        track.thread_type = "AUTO"
        seq, last_ns = 0, -1
        for _, picture in media.decoded(container, track, left_out):
            t_ns = None if picture.pts is None else to_ns(picture.pts, picture.time_base)
            if t_ns is None or t_ns <= last_ns:
                why = "without a time" if t_ns is None else "before time 0"
                left_out[f"pictures {why if last_ns < 0 else 'out of order'}"] += 1
                continue
            yield Frame(
                stream=stream,
                seq=seq,
                t_capture_ns=t_ns,
                t_publish_ns=t_ns,
                pixels=_pixels(path, picture),
            )
            seq, last_ns = seq + 1, t_ns
        if not seq:
            raise ExchangeError(f"{path}: holds no picture that can be decoded")


def _pixels(path: Path, picture: Any) -> UInt8Array:
    """BGR, upright: a telephone that is held upright films lying on its side, and says so."""
    _check_size(path, picture)
    pixels = picture.to_ndarray(format="bgr24")
    if turns := picture.rotation // 90 % 4:
        pixels = np.ascontiguousarray(np.rot90(pixels, turns))
    return read_only(pixels)


def _check_size(path: Path, sized: Any) -> None:
    try:
        check_size(sized.width, sized.height)
    except ValueError as error:
        raise ExchangeError(f"{path}: {error}") from error


def _begun_wall_ns(metadata: dict[str, str]) -> int:
    """When the film was begun, as it says itself, or 0 (1970)."""
    said = metadata.get("creation_time", "").replace("Z", "+00:00")
    try:
        begun = datetime.fromisoformat(said)
    except ValueError:
        return 0
    since = begun.replace(tzinfo=begun.tzinfo or timezone.utc).timestamp()
    return max(0, round(since * 1_000_000)) * MICROSECOND_NS
