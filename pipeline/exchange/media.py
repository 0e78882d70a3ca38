"""Opening films and sound files with PyAV, and what their tracks hold. PyAV is an extra."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.exchange.incoming import ExchangeError

if TYPE_CHECKING:
    from av.container import InputContainer

ATTACHED_PICTURE = 1024  # AV_DISPOSITION_ATTACHED_PIC: a cover, not a film
NEEDS_MEDIA = "films and sound files need PyAV: pip install 'sensorium[media]'"
BROKEN = "packets that cannot be decoded"
CUT_OFF = "ends of damaged tracks"


@contextmanager
def opened(path: Path) -> Iterator[InputContainer]:
    """The file, to be demuxed; nothing but this file is ever read. Raises ExchangeError."""
    av = library()
    try:
        # Some formats name other files or addresses: only files are followed.
        container = av.open(f"file:{path}", container_options={"protocol_whitelist": "file"})
    except (av.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ExchangeError(f"{path}: cannot be read as a film or sound: {reason}") from error
    with container:
        yield container


def library() -> Any:
    """The module av. Raises ExchangeError."""
    try:
        import av
    except ImportError as error:
        raise ExchangeError(NEEDS_MEDIA) from error
    av.logging.set_level(None)  # FFmpeg writes to stderr what the errors here already say
    return av


def tracks(container: InputContainer, kind: str) -> list[Any]:
    """The tracks of a kind (video, audio, subtitle), the default ones first; no covers."""
    found = [
        track
        for track in container.streams
        if track.type == kind and not int(track.disposition) & ATTACHED_PICTURE
    ]
    return sorted(found, key=lambda track: not int(track.disposition) & 1)


def check_codec(path: Path, track: Any) -> None:
    """Raises ExchangeError where there is no decoder for the track."""
    if track.codec_context is None:
        raise ExchangeError(f"{path}: the codec of its {track.type} track is unknown")


def decoded(container: InputContainer, track: Any, left_out: Counter[str]) -> Iterator[Any]:
    """(packet, what was in it), in order; damage is counted in `left_out`."""
    av = library()
    packets = container.demux(track)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:
            left_out[CUT_OFF] += 1
            return
        if packet is None:
            return
        try:
            found = packet.decode()
        except av.FFmpegError:
            left_out[BROKEN] += 1
            continue
        for part in found:
            yield packet, part
