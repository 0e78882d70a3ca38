"""The camera on real files, servers and senders."""

from __future__ import annotations

import math
import socket
import time
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.bus.ring import RingWriter, Slot
from pipeline.error import ConfigError, SensorLostError
from pipeline.sample import Frame, Memory, UInt8Array
from pipeline.stream import Camera
from sensors.camera import frames
from tests import parts

STREAM = "camera/door"
NOTICE_S = 3.0
MS = 1_000_000


def opened(source: str | int | Path, counters: dict[str, int] | None = None, **keys: Any) -> Any:
    """The generator of a camera, closed at the end of a `with`."""
    source = str(source) if isinstance(source, Path) else source
    images: Any = frames(Camera(source=source, **keys), stream=STREAM, counters=counters)
    return closing(images)


def all_frames(source: Path, **keys: Any) -> list[Frame]:
    with opened(source, **keys) as camera:
        return [frame for frame in camera if frame is not None]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds at 25 pictures a second, 160 x 120, every picture different."""
    return parts.made_video(tmp_path_factory.mktemp("video") / "clip.mp4")


def test_a_file_gives_each_picture_at_its_time(video: Path) -> None:
    before_ns = time.monotonic_ns()
    played = all_frames(video)
    assert len(played) == 50
    assert [frame.seq for frame in played] == list(range(50))
    assert played[0].t_capture_ns >= before_ns
    steps = {b.t_capture_ns - a.t_capture_ns for a, b in pairwise(played)}
    assert steps == {40 * MS}
    assert all(frame.t_publish_ns >= frame.t_capture_ns for frame in played)
    # Decoding ran ahead of the time at which the last picture is due: the source never sleeps.
    assert played[-1].t_publish_ns == played[-1].t_capture_ns > time.monotonic_ns()


@pytest.mark.parametrize("resize", [None, (80, 60)])
def test_pictures_are_made_in_the_memory_that_is_lent(
    video: Path, resize: tuple[int, int] | None
) -> None:
    ring = RingWriter(160 * 120 * 3, n_slots=64)

    def lend(shape: tuple[int, int, int]) -> tuple[UInt8Array, Memory]:
        slot = ring.claim(math.prod(shape))
        return slot.array(shape), slot

    own = all_frames(video, resize=resize)
    config = Camera(source=str(video), resize=resize)
    lent = [frame for frame in frames(config, stream=STREAM, lend=lend) if frame is not None]
    n_in_ring = 0
    for ours, theirs in zip(own, lent, strict=True):
        assert np.array_equal(ours.pixels, theirs.pixels)
        if isinstance(theirs.memory, Slot):
            n_in_ring += np.shares_memory(theirs.pixels, theirs.memory.array(theirs.pixels.shape))
    assert n_in_ring >= len(own) - 1  # the first tells the size


def test_pictures_move_and_refuse_writes(video: Path) -> None:
    played = all_frames(video)
    assert all((a.pixels != b.pixels).any() for a, b in pairwise(played))
    assert played[0].pixels.shape == (120, 160, 3)
    assert played[0].pixels.dtype == np.uint8
    assert played[0].stream == STREAM
    with pytest.raises(ValueError, match="read-only"):
        played[0].pixels[0, 0, 0] = 1


def test_channels_are_blue_green_red(tmp_path: Path) -> None:
    red = parts.made_video(tmp_path / "red.mp4", "color=red:size=64x48:rate=5:duration=1")
    frame = all_frames(red)[0]
    assert frame.order == "bgr"
    assert frame.pixels.mean(axis=(0, 1)) == pytest.approx([0, 0, 255], abs=8)


def test_a_file_of_changing_rate_keeps_its_own_pace(tmp_path: Path) -> None:
    source = "testsrc=size=64x48:rate=20:duration=2,select='lt(n,4)+not(mod(n,5))'"
    played = all_frames(parts.made_video(tmp_path / "vfr.mp4", source))
    steps_ms = [(b.t_capture_ns - a.t_capture_ns) / MS for a, b in pairwise(played)]
    assert steps_ms == pytest.approx([50, 50, 50, 100, 250, 250, 250, 250, 250, 250], abs=2)


def test_stamps_that_jump_back_do_not_stop_the_play(tmp_path: Path) -> None:
    once = parts.made_video(tmp_path / "once.ts", "testsrc=size=64x48:rate=10:duration=2")
    twice = tmp_path / "twice.ts"
    twice.write_bytes(once.read_bytes() * 2)
    played = all_frames(twice)
    steps_ms = [(b.t_capture_ns - a.t_capture_ns) / MS for a, b in pairwise(played)]
    assert len(played) >= 36
    assert steps_ms == pytest.approx([100] * len(steps_ms), abs=2)


def test_a_loop_goes_on_in_time(video: Path) -> None:
    with opened(video, loop=True) as camera:
        played = parts.take(camera, 120)
    assert {b.t_capture_ns - a.t_capture_ns for a, b in pairwise(played)} == {40 * MS}
    assert (played[0].pixels == played[50].pixels).all()


def test_the_rate_is_an_upper_bound(video: Path) -> None:
    counters: dict[str, int] = {}
    played = all_frames(video, rate_hz=10.0, counters=counters)
    assert len(played) in (20, 21)
    assert len(played) + counters["skipped"] == 50
    assert len(all_frames(video, rate_hz=60.0)) == 50


@pytest.mark.parametrize("size", [(32, 24), (320, 200)])
def test_resize_gives_width_and_height(video: Path, size: tuple[int, int]) -> None:
    assert all_frames(video, resize=size)[0].pixels.shape == (size[1], size[0], 3)


def test_a_file_that_falls_behind_is_paused_not_rushed(video: Path) -> None:
    counters: dict[str, int] = {}
    with opened(video, counters) as camera:
        first = parts.take(camera, 1)[0]
        parts.wait_until(lambda: time.monotonic_ns() > first.t_capture_ns + 700 * MS)
        rest = parts.take(camera, 49)
    assert counters["paused"] == 1
    assert {b.t_capture_ns - a.t_capture_ns for a, b in pairwise(rest)} == {40 * MS}


def test_what_can_never_be_played_is_a_configuration_error(tmp_path: Path) -> None:
    text = tmp_path / "notes.mp4"
    text.write_text("no video")
    for source in (tmp_path / "missing.mp4", tmp_path, text, "csi://0"):
        with opened(source) as camera, pytest.raises(ConfigError, match=r"^camera .*[^\n]$"):
            next(camera)


@pytest.mark.parametrize("source", [63, "63", "/dev/video63"])
def test_a_missing_device_is_lost(source: str | int) -> None:
    with opened(source) as camera, pytest.raises(SensorLostError, match="cannot be opened"):
        for _ in camera:
            pass


def test_errors_hide_passwords_and_nothing_else_is_printed(capfd: Any) -> None:
    source = f"rtsp://me:s3cret@127.0.0.1:{parts.free_port()}/cam?token=t0ken"
    with opened(source) as camera, pytest.raises(SensorLostError) as caught:
        for _ in camera:
            pass
    assert "s3cret" not in str(caught.value)
    assert "t0ken" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_mjpeg_pictures_are_stamped_as_they_come() -> None:
    with parts.mjpeg_camera() as server, opened(server.url) as camera:
        seen = parts.take(camera, 30)
    assert all(a.t_capture_ns < b.t_capture_ns for a, b in pairwise(seen))
    assert all((a.pixels != b.pixels).any() for a, b in pairwise(seen))
    assert all(0 <= f.t_publish_ns - f.t_capture_ns < 1000 * MS for f in seen)


@pytest.mark.parametrize(("mode", "why"), [("stall", "no picture for"), ("close", "ended")])
def test_mjpeg_that_fails_is_noticed_and_comes_back(mode: str, why: str) -> None:
    with parts.mjpeg_camera() as server:
        with opened(server.url) as camera:
            parts.take(camera, 3)
            server.mode = mode
            assert parts.seconds_until_error(camera, SensorLostError, why) < NOTICE_S
        server.mode = "run"
        with opened(server.url) as camera:
            assert parts.take(camera, 3)[0].seq == 0


def test_the_loop_is_never_left_alone() -> None:
    """While a stream stalls the source gives None, so that a stop request is heard."""
    with parts.mjpeg_camera() as server, opened(server.url) as camera:
        parts.take(camera, 3)
        server.mode = "stall"
        n_turns = 0
        with pytest.raises(SensorLostError):
            for frame in camera:
                n_turns += frame is None
        assert n_turns >= 3


def test_a_slow_consumer_gets_the_newest_picture() -> None:
    counters: dict[str, int] = {}
    with parts.mjpeg_camera() as server, opened(server.url, counters) as camera:
        parts.take(camera, 1)
        parts.wait_until(lambda: counters["superseded"] >= 20)
        asked_ns = time.monotonic_ns()
        newest = parts.take(camera, 1)[0]
    assert asked_ns - newest.t_capture_ns < 500 * MS


def test_a_live_rate_is_bounded() -> None:
    counters: dict[str, int] = {}
    with parts.mjpeg_camera() as server, opened(server.url, counters, rate_hz=5.0) as camera:
        seen = parts.take(camera, 6)
    assert seen[-1].t_capture_ns - seen[0].t_capture_ns >= 900 * MS
    assert counters["skipped"] > 5


@pytest.mark.slow
def test_rtsp_killed_is_noticed_and_a_new_server_is_seen() -> None:
    port = parts.free_port()
    with parts.rtsp_camera(port) as (url, server), opened(url) as camera:
        seen = parts.take(camera, 20)
        assert seen[0].pixels.shape == (240, 320, 3)
        server.kill()
        assert parts.seconds_until_error(camera, SensorLostError) < NOTICE_S
    with parts.rtsp_camera(port) as (url, _), opened(url) as camera:
        parts.take(camera, 5)


@pytest.mark.slow
def test_rtsp_frozen_is_noticed() -> None:
    with parts.rtsp_camera(parts.free_port()) as (url, server), opened(url) as camera:
        parts.take(camera, 20)
        with parts.frozen(server):
            assert parts.seconds_until_error(camera, SensorLostError) < NOTICE_S


@pytest.mark.slow
def test_rtsp_starts_without_a_backlog() -> None:
    with parts.rtsp_camera(parts.free_port()) as (url, _), opened(url) as camera:
        seen = parts.take(camera, 60)
    span_s = (seen[-1].t_capture_ns - seen[0].t_capture_ns) / 1e9
    assert 59 / span_s < 45


@pytest.mark.slow
def test_a_server_that_never_answers_is_noticed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with opened(f"rtsp://127.0.0.1:{port}/cam") as camera:
            assert parts.seconds_until_error(camera, SensorLostError) < NOTICE_S


@pytest.mark.slow
def test_a_udp_sender_that_dies_is_noticed(video: Path) -> None:
    url = f"udp://127.0.0.1:{parts.free_port()}"
    send = ["ffmpeg", "-v", "error", "-re", "-stream_loop", "-1", "-i", str(video)]
    send += ["-c:v", "libx264", "-tune", "zerolatency", "-g", "10", "-f", "mpegts", url]
    with parts.running(*send) as sender, opened(url) as camera:
        parts.take(camera, 10)
        sender.kill()
        assert parts.seconds_until_error(camera, SensorLostError) < NOTICE_S
