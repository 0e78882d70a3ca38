"""A configuration is right, or the error names the place and what to write instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.bus.endpoint import warnings
from pipeline.error import ConfigError
from pipeline.loader import check, load

DOOR = {"source": 0}
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"nam": "x"}, "unknown key `nam`; did you mean `name`?"),
    ({"name": "x"}, "no stream"),
    ({"name": "a/b", "camera": {"door": DOOR}}, "name: "),
    ({"name": "x", "camera": {"door": {"sorce": 0}}}, "did you mean `camera.door.source`?"),
    ({"name": "x", "camera": {"door": {}}}, "camera.door: object missing required field `source`"),
    (
        {"name": "x", "camera": {"door": DOOR | {"rate_hz": "fast"}}},
        "camera.door.rate_hz: expected `float | null`, got `str`",
    ),
    ({"name": "x", "camera": {"door": DOOR | {"max_age_ms": 0}}}, "camera.door.max_age_ms: "),
    ({"name": "x", "camera": {"door": DOOR | {"policy": "newest"}}}, "camera.door.policy: "),
    ({"name": "x", "camera": DOOR}, "camera.source: "),
    (
        {"name": "x", "camera": {"door": DOOR}, "fusion": {"tick": 1}},
        "unknown key `fusion.tick`; did you mean `fusion.tick_hz`?",
    ),
    (
        {"name": "x", "camera": {"door": DOOR}, "fusion": {"clock": "camera/dor"}},
        "fusion.clock: no stream `camera/dor`; did you mean `camera/door`?",
    ),
    (
        {"name": "x", "camera": {"door": DOOR}, "fusion": {"inputs": {"video": []}}},
        "fusion.inputs.video: the modalities are image, audio, text, readings",
    ),
    (
        {
            "name": "x",
            "camera": {
                "a": DOOR | {"endpoint": "tcp://127.0.0.1:5000"},
                "b": DOOR | {"endpoint": "tcp://127.0.0.1:5000"},
            },
        },
        "camera/b and camera/a both claim tcp://127.0.0.1:5000",
    ),
    (
        {"name": "x", "camera": {"door": DOOR | {"endpoint": "tcp://0.0.0.0:5000"}}},
        "is open to others; only loopback is supported",
    ),
    (
        {"name": "x", "camera": {"door": DOOR | {"endpoint": "tcp://127.0.0.1:99999"}}},
        "write it as tcp://127.0.0.1:PORT",
    ),
    ({"name": "x", "camera": {"a b": DOOR}}, "a name is up to 64 letters, digits, - and _"),
    (
        {"name": "x", "camera": {"door": DOOR}, "fusion": {"tick_hz": 3e9}},
        "fusion.tick_hz: expected `float` <= 1000",
    ),
    ({"name": "x", "run_dir": "/tmp/" + "d" * 100, "camera": {"door": DOOR}}, "shorter run_dir"),
]
KEY, OPEN = "a" * 40, {"endpoint": "tcp://192.168.1.5:5600"}
FAR = {"source": "remote"} | OPEN
# What stands in [camera.door].
WRONG_REMOTE: list[tuple[dict[str, Any], str]] = [
    (DOOR | {"remote": OPEN}, "camera/door.remote: tcp://192.168.1.5:5600 is open to others: name"),
    (DOOR | {"remote": {"endpoint": "tcp://*:5600"}}, "tcp://*:5600 is open to others"),
    (DOOR | {"remote": OPEN | {"allow": ["key"]}}, "'key' is no public key: 40 characters"),
    (DOOR | {"remote": OPEN | {"allow": [KEY + "a"]}}, "is no public key"),
    (DOOR | {"remote": OPEN | {"allow": [KEY], "insecure": True}}, "either keys or insecure"),
    (DOOR | {"remote": {"endpoint": "ipc:///tmp/x"}}, "write it as tcp://HOST:PORT"),
    (DOOR | {"remote": {"endpoint": "tcp://127.0.0.1:65535"}}, "PORT below 65535"),
    (DOOR | {"remote": OPEN | {"alow": []}}, "did you mean `camera.door.remote.allow`?"),
    (DOOR | {"remote": OPEN | {"jpeg_quality": 0}}, "camera.door.remote.jpeg_quality: "),
    (DOOR | {"server_key": KEY}, 'server_key and insecure are for source = "remote"'),
    (DOOR | {"insecure": True}, 'server_key and insecure are for source = "remote"'),
    (FAR, "camera/door: tcp://192.168.1.5:5600 is open to others: name"),
    ({"source": "remote"}, "camera/door: '': write it as tcp://HOST:PORT"),
    (FAR | {"server_key": KEY, "remote": OPEN | {"allow": [KEY]}}, "is not handed on to a third"),
    (
        DOOR | {"endpoint": "tcp://127.0.0.1:5601", "remote": {"endpoint": "tcp://127.0.0.1:5600"}},
        "camera/door.remote (clock) and camera/door both claim tcp://127.0.0.1:5601",
    ),
]


@pytest.mark.parametrize(("line", "message"), WRONG_REMOTE, ids=[m for _, m in WRONG_REMOTE])
def test_a_wrong_way_to_another_host_is_refused(line: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check({"name": "x", "camera": {"door": line}}, "hub.toml")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_only_cameras_have_jpeg() -> None:
    remote = {"endpoint": "tcp://127.0.0.1:5600", "jpeg_quality": 80}
    with pytest.raises(ConfigError, match=r"text/door\.remote: jpeg_quality is for cameras"):
        check({"name": "x", "text": {"door": DOOR | {"remote": remote}}}, "hub.toml")


@pytest.mark.parametrize(
    ("line", "n_sensors", "needs_key"),
    [
        (DOOR | {"remote": OPEN | {"allow": [KEY]}}, 1, True),
        (DOOR | {"remote": OPEN | {"insecure": True}}, 1, False),
        (DOOR | {"remote": {"endpoint": "tcp://127.0.0.1:5600"}}, 1, False),
        (FAR | {"server_key": KEY}, 0, True),
        (FAR | {"insecure": True}, 0, False),
        ({"source": "remote", "endpoint": "tcp://127.0.0.1:5600"}, 0, False),
    ],
)
def test_a_way_to_another_host_needs_keys_or_a_word(
    line: dict[str, Any], n_sensors: int, needs_key: bool
) -> None:
    config = check({"name": "x", "camera": {"door": line}}, "hub.toml")
    assert len(config.sensors) == n_sensors
    assert config.needs_key == needs_key
    is_insecure = line.get("insecure") or line.get("remote", {}).get("insecure", False)
    assert any("insecure = true" in warning for warning in warnings(config)) == is_insecure


@pytest.mark.parametrize(("table", "message"), WRONG, ids=[message for _, message in WRONG])
def test_a_wrong_configuration_names_the_place(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check(table, "hub.toml")
    assert str(caught.value).startswith("hub.toml: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_longest_socket_path_is_allowed() -> None:
    room = 107 - len("/predictions.ipc")
    config = check({"name": "x", "run_dir": "/" + "d" * (room - 1), "text": {"a": DOOR}}, "t")
    assert len(config.predictions_endpoint.removeprefix("ipc://")) == 107


def test_overrides_are_toml_or_plain_strings(tmp_path: Path) -> None:
    path = tmp_path / "hub.toml"
    path.write_text('name = "hub"\n[camera.door]\nsource = 0\n')
    config = load(path, ["camera.door.source=clip.mp4", "fusion.tick_hz=5", 'name="other"'])
    assert config.camera["door"].source == "clip.mp4"
    assert (config.tick_hz, config.name) == (5.0, "other")
    with pytest.raises(ConfigError, match=r"write it as key\.path=value"):
        load(path, ["nonsense"])


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("name = ")
    with pytest.raises(ConfigError, match="is not TOML"):
        load(tmp_path / "bad.toml")


def test_the_defaults_are_those_of_the_kind() -> None:
    config = check({"name": "x", "camera": {"a": DOOR}, "text": {"b": DOOR}}, "t")
    assert {name: line.policy for name, line in config.streams.items()} == {
        "camera/a": "latest",
        "text/b": "queue",
    }
    assert config.tick_hz == 10.0
    clocked = check({"name": "x", "camera": {"a": DOOR}, "fusion": {"clock": "camera/a"}}, "t")
    assert clocked.tick_hz == 0.0
