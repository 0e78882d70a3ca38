"""ROS bags for the tests, written by the rosbags library as ROS itself would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags import rosbag1, rosbag2
from rosbags.rosbag2 import StoragePlugin
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from pipeline.exchange.bag_message import AUDIO_TYPES

BEGIN_NS = 1_700_000_000_000_000_000
MS = 1_000_000
Message = tuple[str, int, str, dict[str, Any]]  # topic, ms of receipt, type, members
STORAGE = {"sqlite3": StoragePlugin.SQLITE3, "mcap": StoragePlugin.MCAP}


def header(ms: float) -> dict[str, Any]:
    """A header that was stamped so long after the bag's beginning."""
    sec, nanosec = divmod(BEGIN_NS + round(ms * MS), 1_000_000_000)
    return {"stamp": {"sec": sec, "nanosec": nanosec}, "frame_id": ""}


def picture(encoding: str, pixels: np.ndarray[Any, Any], ms: float, pad: int = 0) -> dict[str, Any]:
    """The members of an Image, its rows padded."""
    height, width = pixels.shape[:2]
    rows = pixels.reshape(height, -1).view(np.uint8)
    data = np.pad(rows, ((0, 0), (0, pad))).reshape(-1)
    size = {"height": height, "width": width, "step": rows.shape[1] + pad}
    return {"header": header(ms), **size, "encoding": encoding, "is_bigendian": 0, "data": data}


def compressed(pixels: np.ndarray[Any, Any], ms: float) -> dict[str, Any]:
    """The members of a CompressedImage."""
    data = cv2.imencode(".jpg", pixels)[1].reshape(-1)
    return {"header": header(ms), "format": "jpeg", "data": data}


def write_ros2(path: Path, messages: Sequence[Message], storage: str = "sqlite3") -> Path:
    """A ROS 2 bag."""
    types = _types(Stores.ROS2_HUMBLE)
    plugin = STORAGE[storage]
    with rosbag2.Writer(path, version=9, storage_plugin=plugin) as bag:
        lines = {
            (topic, kind): bag.add_connection(topic, kind, typestore=types)
            for topic, kind in dict.fromkeys((t, k) for t, _, k, _ in messages)
        }
        for topic, ms, kind, members in messages:
            data = types.serialize_cdr(_make(types, kind, members), kind)
            bag.write(lines[topic, kind], BEGIN_NS + ms * MS, data)
    return path


def write_ros1(path: Path, messages: Sequence[Message]) -> Path:
    """A ROS 1 bag."""
    types = _types(Stores.ROS1_NOETIC)
    with rosbag1.Writer(path) as bag:
        lines = {
            (topic, kind): bag.add_connection(topic, kind, typestore=types)
            for topic, kind in dict.fromkeys((t, k) for t, _, k, _ in messages)
        }
        for topic, ms, kind, members in messages:
            data = types.serialize_ros1(_make(types, kind, members), kind)
            bag.write(lines[topic, kind], BEGIN_NS + ms * MS, data)
    return path


def _types(store: Stores) -> Any:
    types = get_typestore(store)
    for name, definition in AUDIO_TYPES.items():
        types.register(get_types_from_msg(definition, name))
    return types


def _make(types: Any, kind: str, members: Mapping[str, Any]) -> Any:
    """A message from plain members; a ROS 1 header also counts."""
    fields = dict(types.get_msgdef(kind).fields)
    made = {
        name: _make(types, fields[name][1], value) if isinstance(value, dict) else value
        for name, value in members.items()
    }
    if "seq" in fields and "seq" not in made:
        made["seq"] = 0
    return types.types[kind](**made)
