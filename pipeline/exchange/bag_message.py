"""One ROS message as a sample: pictures, strings, and numbers of the common types."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.exchange import picture
from pipeline.exchange.incoming import short_enough
from pipeline.sample import Frame, Reading, Sample, TextEvent, UInt8Array, read_only

if TYPE_CHECKING:
    from rosbags.typesys.store import Typestore

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
STRING = "std_msgs/msg/String"
AUDIO = ("audio_common_msgs/msg/AudioData", "audio_common_msgs/msg/AudioDataStamped")
UNFIT = (AttributeError, TypeError, ValueError)  # of a message that is not what its type says

# {type: ((member, unit), ...)}
_PLAIN = "Bool Byte Char Float32 Float64 Int8 Int16 Int32 Int64 UInt8 UInt16 UInt32 UInt64"
NUMBERS: Mapping[str, tuple[tuple[str, str], ...]] = {
    **{f"std_msgs/msg/{name}": (("data", ""),) for name in _PLAIN.split()},
    "sensor_msgs/msg/Temperature": (("temperature", "°C"),),
    "sensor_msgs/msg/RelativeHumidity": (("relative_humidity", ""),),
    "sensor_msgs/msg/Illuminance": (("illuminance", "lx"),),
    "sensor_msgs/msg/FluidPressure": (("fluid_pressure", "Pa"),),
    "sensor_msgs/msg/Range": (("range", "m"),),
    "sensor_msgs/msg/BatteryState": (("voltage", "V"),),
    "sensor_msgs/msg/MagneticField": tuple((f"magnetic_field.{a}", "T") for a in "xyz"),
    "sensor_msgs/msg/Imu": (
        *((f"angular_velocity.{a}", "rad/s") for a in "xyz"),
        *((f"linear_acceleration.{a}", "m/s²") for a in "xyz"),
    ),
}

# {encoding: (bytes a pixel, its channels as indices of B, G and R)}, sensor_msgs/image_encodings.h
_ENCODINGS: Mapping[str, tuple[int, tuple[int, int, int]]] = {
    "bgr8": (3, (0, 1, 2)),
    "8UC3": (3, (0, 1, 2)),
    "rgb8": (3, (2, 1, 0)),
    "bgra8": (4, (0, 1, 2)),
    "8UC4": (4, (0, 1, 2)),
    "rgba8": (4, (2, 1, 0)),
    "mono8": (1, (0, 0, 0)),
    "8UC1": (1, (0, 0, 0)),
}
_GRAY_16 = ("mono16", "16UC1")

# A few bags of older ROS 2 do not hold these definitions.
AUDIO_TYPES = {
    "audio_common_msgs/msg/AudioData": "uint8[] data",
    "audio_common_msgs/msg/AudioDataStamped": (
        "std_msgs/Header header\naudio_common_msgs/AudioData audio"
    ),
    "audio_common_msgs/msg/AudioInfo": (
        "uint8 channels\nuint32 sample_rate\nstring sample_format\n"
        "uint32 bitrate\nstring coding_format"
    ),
}


def kind_of_type(msgtype: str) -> str | None:
    """The kind of stream that a type becomes, if it can be taken."""
    if msgtype in (IMAGE, COMPRESSED_IMAGE):
        return "camera"
    if msgtype in AUDIO:
        return "microphone"
    if msgtype == STRING:
        return "text"
    return "readings" if msgtype in NUMBERS else None


def default_types() -> Typestore:
    """The types for bags that hold no definitions."""
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    types = get_typestore(Stores.ROS2_HUMBLE)
    for name, definition in AUDIO_TYPES.items():
        types.register(get_types_from_msg(definition, name))
    return types


def sample_of(message: Any, msgtype: str, stream: str, t_ns: int) -> Sample:
    """The sample in a message, captured at `t_ns`. Raises UNFIT."""
    base: dict[str, Any] = {"stream": stream, "seq": 0, "t_capture_ns": t_ns, "t_publish_ns": t_ns}
    if msgtype == IMAGE:
        return Frame(**base, pixels=read_only(_pixels(message)))
    if msgtype == COMPRESSED_IMAGE:
        return Frame(**base, pixels=picture.decode(bytes(message.data)))
    if msgtype == STRING:
        if not short_enough(message.data):
            raise ValueError("a text that is too long")
        return TextEvent(**base, text=message.data)
    members = NUMBERS[msgtype]
    with np.errstate(over="ignore"):
        values = np.array([_member(message, path) for path, _ in members], np.float32)
    if not np.isfinite(values).all():
        raise ValueError("numbers that are not finite")
    names, units = tuple(path for path, _ in members), tuple(unit for _, unit in members)
    return Reading(**base, values=read_only(values), names=names, units=units)


def _member(message: Any, path: str) -> float:
    return float(reduce(getattr, path.split("."), message))


def _pixels(message: Any) -> UInt8Array:
    """BGR uint8 (height, width, 3). Raises ValueError."""
    height, width, step = int(message.height), int(message.width), int(message.step)
    picture.check_size(width, height)
    n_bytes, order = _ENCODINGS.get(message.encoding, (2, (0, 0, 0)))
    if message.encoding not in (*_ENCODINGS, *_GRAY_16):
        raise ValueError(f"pictures with the encoding {str(message.encoding)[:40]!r}")
    data = np.asarray(message.data, np.uint8)
    if step < n_bytes * width or len(data) < step * height:
        raise ValueError("pictures with fewer bytes than their size needs")
    rows = data[: step * height].reshape(height, step)[:, : n_bytes * width]
    pixels = rows.reshape(height, width, n_bytes)
    if message.encoding in _GRAY_16:
        high = 0 if message.is_bigendian else 1
        pixels = pixels[..., high : high + 1]
    return np.ascontiguousarray(pixels[..., order])
