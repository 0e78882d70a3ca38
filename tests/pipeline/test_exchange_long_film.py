"""Ten minutes of a real MP4: sound and pictures stay together, in the log and out of it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from pipeline.exchange.incoming import Options
from pipeline.exchange.intake import bring_in
from pipeline.exchange.media_out import export_media
from pipeline.sample import TextEvent
from tests import parts
from tests.pipeline.films import SRT, clicks_s, flashes_s
from tests.pipeline.logged import read


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ten_minutes_stay_together(tmp_path: Path) -> None:
    """A real MP4 with sound and subtitles: in, replayable, and out again."""
    parts.needs("ffmpeg")
    film, period_s, length_s = tmp_path / "long.mp4", 10, 600
    events_s = [float(t) for t in range(period_s, length_s, period_s)]
    _make_long_film(film, period_s, length_s)
    bring_in(film, tmp_path / "x.mcap", Options(), jpeg_quality=80)
    export_media(tmp_path / "x.mcap", tmp_path / "y.mp4")
    shutil.move(tmp_path / "y.srt", tmp_path / "aside")
    bring_in(tmp_path / "y.mp4", tmp_path / "y.mcap", Options(), jpeg_quality=80)

    frame_s = 1001 / 30_000
    for log in ("x.mcap", "y.mcap"):
        samples = read(tmp_path / log)
        flashes, clicks = flashes_s(samples), clicks_s(samples)
        assert len(flashes) == len(clicks) == len(events_s)
        assert clicks == pytest.approx(events_s, abs=frame_s)
        assert flashes == pytest.approx(clicks, abs=frame_s)
    assert sum(isinstance(s, TextEvent) for s in read(tmp_path / "x.mcap")) == 2


def _make_long_film(film: Path, period_s: int, length_s: int) -> None:
    """NTSC pictures and 44.1 kHz sound, whose times share no period."""
    film.with_suffix(".srt").write_text(SRT, encoding="utf-8")
    flash = f"drawbox=color=white:t=fill:enable='gte(t,1)*lt(mod(t+0.0005,{period_s}),0.0333)'"
    pictures = f"color=black:size=64x48:rate=30000/1001:duration={length_s},{flash}"
    click = f"0.7*gte(t,1)*lt(mod(t,{period_s}),0.01)"
    sound = f"aevalsrc='{click}':s=44100:d={length_s}"
    sources = ["-f", "lavfi", "-i", pictures, "-f", "lavfi", "-i", sound]
    sources += ["-i", str(film.with_suffix(".srt"))]
    codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", "-c:s", "mov_text"]
    subprocess.run(["ffmpeg", "-v", "error", *sources, *codecs, str(film)], check=True)
    film.with_suffix(".srt").unlink()
