"""ROS 1 and ROS 2 bags become logs that replay."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.cli import main
from pipeline.exchange.incoming import ExchangeError, Options
from pipeline.exchange.intake import bring_in
from pipeline.log.reader import LogReader
from pipeline.sample import AudioChunk, Frame, Reading, TextEvent
from tests.pipeline.bags import (
    BEGIN_NS,
    MS,
    Message,
    compressed,
    header,
    picture,
    write_ros1,
    write_ros2,
)
from tests.pipeline.logged import read

PIXELS = np.random.default_rng(3).integers(0, 256, (6, 8, 3), np.uint8)
SOUND = (np.sin(np.arange(16_000) / 10) * 9000).astype("<i2")
Write = Callable[[Path, list[Message]], Path]


def messages() -> list[Message]:
    """One second of a robot: pictures at 10 Hz, sound, a string, numbers, and what is unknown."""
    made: list[Message] = []
    for n in range(10):
        ms = 100 * n
        made.append(("/cam/raw", ms + 5, "sensor_msgs/msg/Image", picture("rgb8", PIXELS, ms)))
        small = {"data": SOUND[1600 * n : 1600 * (n + 1)].view(np.uint8)}
        made.append(("/mic", ms + 100, "audio_common_msgs/msg/AudioData", small))
    jpeg = compressed(np.full((16, 16, 3), 90, np.uint8), 20)
    temperature = {"header": header(30), "temperature": 21.5, "variance": 0.0}
    made.append(("/cam/jpeg", 40, "sensor_msgs/msg/CompressedImage", jpeg))
    made.append(("/heat", 50, "sensor_msgs/msg/Temperature", temperature))
    made.append(("/speech", 300, "std_msgs/msg/String", {"data": "hello"}))
    made.append(("/door", 310, "std_msgs/msg/Bool", {"data": True}))
    made.append(("/colour", 320, "std_msgs/msg/ColorRGBA", dict.fromkeys("rgba", 0.5)))
    return sorted(made, key=lambda message: message[1])


def ros2_mcap_file(path: Path, made: list[Message]) -> Path:
    """The one file of an MCAP bag, without its folder."""
    return next(write_ros2(path, made, "mcap").glob("*.mcap"))


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.bag", write_ros1),
        ("sqlite", write_ros2),
        ("mcap", lambda path, made: write_ros2(path, made, "mcap")),
        ("file", ros2_mcap_file),
    ],
)
def test_every_kind_of_bag_gives_the_same_streams(name: str, write: Write, tmp_path: Path) -> None:
    found = bring_in(write(tmp_path / name, messages()), tmp_path / "x.mcap", Options())

    assert found["streams"] == {
        "camera/cam_jpeg": 1,
        "camera/cam_raw": 10,
        "microphone/mic": 10,
        "readings/door": 1,
        "readings/heat": 1,
        "text/speech": 1,
    }
    assert found["left_out"]["messages of /colour (std_msgs/msg/ColorRGBA)"] == 1
    with LogReader(tmp_path / "x.mcap") as log:
        assert log.header.wall_minus_monotonic_ns == 0
        samples = list(log.samples())
    published = [s.t_publish_ns for s in samples]
    assert published == sorted(published)
    _check_contents(samples)


def test_a_bag_of_ros2_replays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bag = write_ros2(tmp_path / "bag", messages(), "mcap")
    assert main(["import", str(bag), "-o", str(tmp_path / "x.mcap"), "--json"]) == 0
    assert main(["replay", str(tmp_path / "x.mcap"), "--json"]) == 0

    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["predictions"] >= 9
    assert found["refused"] == {"readings/door": 1}  # of which the bundle knows nothing


def _check_contents(samples: list[Any]) -> None:
    frames = [s for s in samples if s.stream == "camera/cam_raw"]
    assert [(f.t_capture_ns - BEGIN_NS) // MS for f in frames] == list(range(0, 1000, 100))
    assert all(f.t_publish_ns == f.t_capture_ns + 5 * MS for f in frames)
    assert np.array_equal(frames[0].pixels, PIXELS[..., ::-1])
    heat = next(s for s in samples if s.stream == "readings/heat")
    assert (heat.values.tolist(), heat.names, heat.units) == ([21.5], ("temperature",), ("°C",))
    assert heat.t_capture_ns == BEGIN_NS + 30 * MS
    assert next(s for s in samples if isinstance(s, TextEvent)).text == "hello"
    chunks = [s for s in samples if isinstance(s, AudioChunk)]
    assert np.array_equal(np.concatenate([c.pcm[:, 0] for c in chunks]), SOUND)
    assert chunks[0].t_capture_ns == BEGIN_NS
    assert all(b.t_capture_ns == a.t_end_ns for a, b in pairwise(chunks))


def test_topics_get_the_names_that_were_asked_for(tmp_path: Path) -> None:
    bag = write_ros2(tmp_path / "bag", messages())
    topics = {"/cam/raw": "camera/door", "/heat": "readings/climate"}
    found = bring_in(bag, tmp_path / "x.mcap", Options(topics=topics))

    assert {"camera/door", "readings/climate", "camera/cam_jpeg"} <= found["streams"].keys()


@pytest.mark.parametrize(
    ("topics", "said"),
    [
        ({"/cam/raw": "text/door"}, "becomes camera/NAME"),
        ({"/nothing": "camera/door"}, "has no topic /nothing"),
        ({"/colour": "text/colour"}, "cannot be taken"),
        ({"/cam/raw": "camera/a", "/cam/jpeg": "camera/a"}, "two topics have one name"),
    ],
)
def test_names_that_do_not_fit_are_refused(
    topics: dict[str, str], said: str, tmp_path: Path
) -> None:
    bag = write_ros2(tmp_path / "bag", messages())

    with pytest.raises(ExchangeError, match=said):
        bring_in(bag, tmp_path / "x.mcap", Options(topics=topics))
    assert not (tmp_path / "x.mcap").exists()


def test_sound_is_read_as_its_info_says(tmp_path: Path) -> None:
    kind = "audio_common_msgs/msg/AudioInfo"
    members = {"channels": 2, "sample_rate": 32_000, "bitrate": 0}
    info = {**members, "sample_format": "S16LE", "coding_format": "wave"}
    stereo = np.repeat(SOUND, 2).view(np.uint8)
    stamped = {"header": header(7), "audio": {"data": stereo}}
    sound = ("/mic", 600, "audio_common_msgs/msg/AudioDataStamped", stamped)
    bag = write_ros2(tmp_path / "bag", [("/info", 0, kind, info), sound])
    found = bring_in(bag, tmp_path / "x.mcap", Options())

    chunks = [s for s in read(tmp_path / "x.mcap") if isinstance(s, AudioChunk)]
    assert sum(len(c.pcm) for c in chunks) == 8000 and chunks[0].t_capture_ns == BEGIN_NS + 7 * MS
    assert not found["left_out"]

    lossy: list[Message] = [("/info", 0, kind, {**info, "coding_format": "mp3"}), sound]
    with pytest.raises(ExchangeError, match="'mp3', 'S16LE' cannot be taken"):
        bring_in(write_ros2(tmp_path / "mp3", lossy), tmp_path / "y.mcap", Options())


@pytest.mark.parametrize(
    ("encoding", "pixels", "expected"),
    [
        ("bgr8", PIXELS, PIXELS),
        ("mono8", PIXELS[..., 0], np.repeat(PIXELS[..., :1], 3, axis=2)),
        ("rgba8", np.dstack([PIXELS, PIXELS[..., 0]]), PIXELS[..., ::-1]),
        (
            "mono16",
            PIXELS[..., 0].astype("<u2") * 256 + 7,
            np.repeat(PIXELS[..., :1], 3, axis=2),
        ),
    ],
)
def test_encodings_of_pictures(encoding: str, pixels: Any, expected: Any, tmp_path: Path) -> None:
    made = picture(encoding, np.ascontiguousarray(pixels), 0, pad=3)
    bag = write_ros2(tmp_path / "bag", [("/cam", 1, "sensor_msgs/msg/Image", made)])
    bring_in(bag, tmp_path / "x.mcap", Options())

    frame = read(tmp_path / "x.mcap")[0]
    assert isinstance(frame, Frame) and np.array_equal(frame.pixels, expected)


def test_what_does_not_fit_is_counted(tmp_path: Path) -> None:
    kind = "sensor_msgs/msg/Image"
    lying = {**picture("bgr8", PIXELS, 0), "height": 9000}
    huge = {**picture("bgr8", PIXELS, 0), "height": 2**31, "width": 2**31}
    odd = picture("yuv422", PIXELS, 0)
    late = picture("bgr8", PIXELS, -120_000)
    made: list[Message] = [("/cam", n, kind, m) for n, m in enumerate([lying, huge, odd, late])]
    made += [("/x", n, "std_msgs/msg/Float64", {"data": x}) for n, x in enumerate([1.0, np.nan])]
    made += [("/x", 5, "std_msgs/msg/Float64", {"data": 1e300})]
    found = bring_in(write_ros2(tmp_path / "bag", made), tmp_path / "x.mcap", Options())

    assert found["streams"] == {"camera/cam": 1, "readings/x": 1}
    assert sum(found["left_out"].values()) == 6
    samples = read(tmp_path / "x.mcap")
    assert [s.t_capture_ns for s in samples if isinstance(s, Frame)] == [BEGIN_NS + 3 * MS]
    assert [s.values.tolist() for s in samples if isinstance(s, Reading)] == [[1.0]]


def test_bags_that_cannot_be_read(tmp_path: Path) -> None:
    whole = write_ros1(tmp_path / "a.bag", messages()).read_bytes()
    folder = write_ros2(tmp_path / "bag", messages())
    (folder / "bag.db3").write_bytes(b"SQLite format 3\0" + bytes(200))
    (tmp_path / "noise.mcap").write_bytes(np.random.default_rng(1).bytes(4000))
    (tmp_path / "cut.bag").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.db3").touch()
    empty = write_ros2(tmp_path / "void", [])

    for name in ("bag", "noise.mcap", "cut.bag", "empty.db3", empty.name):
        with pytest.raises(ExchangeError) as error:
            bring_in(tmp_path / name, tmp_path / "x.mcap", Options())
        assert "\n" not in str(error.value)
    assert not (tmp_path / "x.mcap").exists()
    assert not list(tmp_path.glob(".*"))


def test_damaged_bags_are_told_or_read(tmp_path: Path) -> None:
    """Random damage to the bytes of a bag: one line, or a log; never a traceback."""
    draw = np.random.default_rng(5)
    for name, whole in (
        ("a.bag", write_ros1(tmp_path / "w.bag", messages()).read_bytes()),
        ("a.mcap", ros2_mcap_file(tmp_path / "w", messages()).read_bytes()),
    ):
        for n in range(10):
            data = bytearray(whole)
            for at in draw.integers(0, len(data), 1 + 2 * n):
                data[at] = draw.integers(256)
            (tmp_path / name).write_bytes(data)
            try:
                bring_in(tmp_path / name, tmp_path / f"{name}.{n}.mcap", Options())
            except ExchangeError as error:
                assert "\n" not in str(error)
