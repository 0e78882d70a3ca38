"""The schemas of a log's messages, as protobuf descriptors built here.

The foxglove ones have the numbers and types of Foxglove's public schemas, so that its tools and
others show the messages; what a sample has beyond them lies in fields numbered from 100, which
those tools skip. The sensorium ones are our own. All times are wall-clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

from google.protobuf import descriptor_pb2, timestamp_pb2
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

RAW_IMAGE = "foxglove.RawImage"
COMPRESSED_IMAGE = "foxglove.CompressedImage"
RAW_AUDIO = "foxglove.RawAudio"
LOG = "foxglove.Log"
READING = "sensorium.Reading"
PREDICTION = "sensorium.Prediction"
HEALTH = "sensorium.Health"
TOKENS = "sensorium.Tokens"
LABEL = "sensorium.Label"
EVENT = "sensorium.Event"

DATA_FIELD: Mapping[str, int] = {RAW_IMAGE: 6, COMPRESSED_IMAGE: 2, RAW_AUDIO: 2, TOKENS: 7}

# One line a field: "number type name", repeated ones with a star before the type. A capital
# letter begins a message of the same package.
_COMMON = "1 Timestamp timestamp, 101 uint32 sensorium_seq_high"  # of a seq of 2^32 and more
_MESSAGES: Mapping[str, str] = {
    RAW_IMAGE: "7 string frame_id, 2 fixed32 width, 3 fixed32 height, 4 string encoding,"
    " 5 fixed32 step, 6 bytes data",
    COMPRESSED_IMAGE: "4 string frame_id, 2 bytes data, 3 string format,"
    " 100 string sensorium_order",
    RAW_AUDIO: "2 bytes data, 3 string format, 4 fixed32 sample_rate, 5 fixed32 number_of_channels",
    LOG: "2 Level level, 3 string message, 4 string name, 5 string file, 6 fixed32 line,"
    " 100 string sensorium_fields_json",
    READING: "2 *string names, 3 *string units, 4 *float values",
    PREDICTION: "2 *Head outputs, 3 *Input inputs, 4 *Duration ages, 5 *string missing,"
    " 6 *Share weights, 7 *Member backend, 8 *Stages stages, 9 int64 emit_ns,"
    " 10 *Faults faults, 11 string main, 20 uint32 encode_every",
    HEALTH: "2 string process, 3 int64 pid, 4 string state, 5 *Count counters, 6 string last_error,"
    " 7 *string faults",
    TOKENS: "2 string of, 3 uint32 width, 7 bytes data",
    LABEL: "2 string label, 3 int64 until_ns, 4 string source, 5 double score",
    EVENT: "2 string name, 3 string phase, 4 string label, 5 double score, 6 double peak,"
    " 7 int64 began_ns, 8 int64 until_ns, 9 string top, 10 *string missing",
}
_PARTS: Mapping[str, str] = {
    "sensorium.Head": "1 string name, 2 *Share scores, 3 *double vector, 4 string text,"
    " 5 string form",
    "sensorium.Share": "1 string name, 2 double value",
    "sensorium.Input": "1 string stream, 2 *Used samples",
    "sensorium.Used": "1 uint64 seq, 2 int64 capture_ns",
    "sensorium.Duration": "1 string stream, 2 int64 ns",
    "sensorium.Stages": "1 string stream, 2 *int64 ns",
    "sensorium.Faults": "1 string stream, 2 *string names",
    "sensorium.Member": "1 string name, 2 string value",
    "sensorium.Count": "1 string name, 2 int64 value",
}
_LEVELS = ("UNKNOWN", "DEBUG", "INFO", "WARNING", "ERROR", "FATAL")
LEVEL_INFO = _LEVELS.index("INFO")
_TYPES: Mapping[str, int] = {
    "string": FieldDescriptorProto.TYPE_STRING,
    "bytes": FieldDescriptorProto.TYPE_BYTES,
    "float": FieldDescriptorProto.TYPE_FLOAT,
    "double": FieldDescriptorProto.TYPE_DOUBLE,
    "fixed32": FieldDescriptorProto.TYPE_FIXED32,
    "uint32": FieldDescriptorProto.TYPE_UINT32,
    "uint64": FieldDescriptorProto.TYPE_UINT64,
    "int64": FieldDescriptorProto.TYPE_INT64,
}
SCHEMAS = tuple(_MESSAGES)


@cache
def message_class(schema: str) -> type[Any]:
    """The class of a schema's messages. Raises KeyError for one that is not ours."""
    made: type[Message] = GetMessageClass(_pool().FindMessageTypeByName(schema))
    return made


@cache
def descriptor_set(schema: str) -> bytes:
    """What an MCAP schema record holds: all files that the schema needs, serialized."""
    files = descriptor_pb2.FileDescriptorSet()
    timestamp_pb2.DESCRIPTOR.CopyToProto(files.file.add())
    files.file.append(_file(schema.split(".")[0]))
    return files.SerializeToString(deterministic=True)


@lru_cache(maxsize=1)
def _pool() -> DescriptorPool:
    """A pool of its own: another package of this process may hold Foxglove's."""
    pool = DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    for package in ("foxglove", "sensorium"):
        pool.AddSerializedFile(_file(package).SerializeToString())
    return pool


def _file(package: str) -> FileDescriptorProto:
    file = FileDescriptorProto(name=f"{package}_log.proto", package=package, syntax="proto3")
    file.dependency.append("google/protobuf/timestamp.proto")
    messages = {**{name: f"{_COMMON}, {text}" for name, text in _MESSAGES.items()}, **_PARTS}
    for name, fields in messages.items():
        if name.startswith(package + "."):
            message = file.message_type.add(name=name.split(".")[1])
            for field in fields.split(","):
                _add_field(message, package, *field.split())
            if name == LOG:
                levels = message.enum_type.add(name="Level").value
                for number, level in enumerate(_LEVELS):
                    levels.add(name=level, number=number)
    return file


def _add_field(message: Any, package: str, number: str, kind: str, name: str) -> None:
    field = message.field.add(name=name, number=int(number))
    field.label = FieldDescriptorProto.LABEL_OPTIONAL
    if kind.startswith("*"):
        field.label = FieldDescriptorProto.LABEL_REPEATED
        kind = kind[1:]
    if kind == "Timestamp":
        field.type, field.type_name = (
            FieldDescriptorProto.TYPE_MESSAGE,
            ".google.protobuf.Timestamp",
        )
    elif kind == "Level":
        field.type = FieldDescriptorProto.TYPE_ENUM
        field.type_name = f".{package}.{message.name}.Level"
    elif kind in _TYPES:
        field.type = _TYPES[kind]
    else:
        field.type, field.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".{package}.{kind}"
