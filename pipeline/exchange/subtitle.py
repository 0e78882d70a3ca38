"""Subtitles as text events: those in an SRT or VTT file beside a film, else those inside it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.exchange import media
from pipeline.exchange.incoming import ExchangeError, short_enough, to_ns
from pipeline.sample import TextEvent

BESIDE = (".srt", ".vtt")
MAX_EVENTS = 1_000_000
DURATION = "duration_s"  # a field of the event: for how long it is shown
_STYLE = re.compile(r"\{\\[^}]*\}|<[^>]{1,64}>")  # ASS overrides, and tags that were not known


def events(
    film: Path, index: int | None, stream: str, left_out: Counter[str]
) -> Iterator[TextEvent]:
    """One event a subtitle, at the time when it appears. Raises ExchangeError."""
    file = beside(film)
    if file is None and index is None:
        return
    if file is not None and index is not None:
        left_out[f"subtitle tracks: {file.name} was taken"] += 1
    found = sorted(_found(file or film, None if file else index, left_out), key=lambda x: x[0])
    for seq, (t_ns, text, duration_s) in enumerate(found):
        yield TextEvent(
            stream=stream,
            seq=seq,
            t_capture_ns=t_ns,
            t_publish_ns=t_ns,
            text=text,
            fields={DURATION: duration_s},
        )


def beside(film: Path) -> Path | None:
    """The subtitles of a film in a file of their own, if there are any."""
    return next((path for s in BESIDE if (path := film.with_suffix(s)).is_file()), None)


def _found(
    path: Path, index: int | None, left_out: Counter[str]
) -> Iterator[tuple[int, str, float]]:
    """(time, text, seconds shown), in the order of the file."""
    with media.opened(path) as container:
        of_kind = media.tracks(container, "subtitle")
        track = next((t for t in of_kind if index is None or t.index == index), None)
        if track is None or track.codec_context is None:
            left_out["subtitles of an unknown kind"] += 1
            return
        n = 0
        for packet, line in media.decoded(container, track, left_out):
            text = _text(line)
            if packet.pts is None or not text or not short_enough(text):
                left_out["subtitles that are pictures, empty or too long"] += 1
                continue
            t_ns = to_ns(packet.pts, packet.time_base)
            duration_s = to_ns(packet.duration or 0, packet.time_base) / 1e9
            if t_ns < 0:
                left_out["subtitles before time 0"] += 1
                continue
            if (n := n + 1) > MAX_EVENTS:
                raise ExchangeError(f"{path}: holds more than {MAX_EVENTS} subtitles")
            yield t_ns, text, duration_s


def _text(line: Any) -> str:
    """The words alone, in one line; "" of a subtitle that is a picture."""
    if line.type not in (b"ass", b"text"):
        return ""
    words = (line.dialogue or line.text).decode("utf-8", "replace")
    return " ".join(_STYLE.sub("", words.replace("\\N", "\n").replace("\\h", " ")).split())
