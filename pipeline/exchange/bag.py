"""ROS 1 bags and ROS 2 bags (sqlite3, MCAP) through the rosbags library, which is an extra.

Topics become streams by their type. Times are wall-clock and kept as they are: a message is
published when it was received, captured at its header's stamp. Each topic is read by its own pass.
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import structs

from pipeline.config import NAME
from pipeline.exchange import bag_message
from pipeline.exchange.bag_sound import AUDIO_INFO, sound_format, sound_of
from pipeline.exchange.incoming import (
    NS_PER_S,
    ExchangeError,
    Incoming,
    Options,
    imported,
    stream_name,
)
from pipeline.sample import Sample
from pipeline.stream import kind_of

if TYPE_CHECKING:
    from rosbags.highlevel import AnyReader

MAX_MESSAGE_BYTES = 256 * 2**20
# A stamp that is older than this, or newer than the receipt, is of another clock.
MAX_DELAY_NS = 60 * NS_PER_S
OTHER_CLOCK = "stamps of another clock; the time of receipt was taken"
# What a library raises that reads files of lies: rosbags checks less than the own reader of logs.
DAMAGE: tuple[type[Exception], ...] = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError),
    *(OSError, RuntimeError, TypeError, ValueError, EOFError, struct.error),
)


def open_bag(path: Path, options: Options) -> Incoming:
    """The streams of a bag: a .bag, .db3 or .mcap file, or a folder. Raises ExchangeError."""
    left_out: Counter[str] = Counter()
    with _opened(path) as reader:
        types = {c.topic: c.msgtype for c in reader.connections}
        counts = {topic: info.msgcount for topic, info in reader.topics.items()}
        begin_ns = reader.start_time if reader.message_count else 0
        length_s = max(0, reader.end_time - begin_ns) / NS_PER_S if begin_ns else 0.0
    chosen = _streams(path, types, options.topics)
    for topic in types.keys() - chosen.keys():
        if types[topic] != AUDIO_INFO:
            left_out[f"messages of {topic} ({types[topic]})"] += counts[topic]
    if not chosen:
        raise ExchangeError(
            f"{path}: holds no pictures, sound, texts or readings, only"
            f" {', '.join(sorted(set(types.values()))) or 'nothing'}"
        )
    streams = [
        _topic(path, topic, stream, options.sample_rate_hz, left_out)
        for topic, stream in chosen.items()
    ]
    header = imported(chosen.values(), begin_ns, monotonic_ns=begin_ns)
    return Incoming(header=header, streams=streams, left_out=left_out, length_s=length_s)


@contextmanager
def _opened(path: Path) -> Iterator[AnyReader]:
    """The bag, whatever its kind. Raises ExchangeError, also for what a library lets through."""
    try:
        from rosbags.highlevel import AnyReader
    except ImportError as error:
        raise ExchangeError("bags need rosbags: pip install 'sensorium[ros]'") from error
    try:
        with AnyReader([path], default_typestore=bag_message.default_types()) as reader:
            yield reader
    except _failures() as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ExchangeError(f"{path}: is no bag that can be read: {reason}") from error


def _failures() -> tuple[type[Exception], ...]:
    """What a bag that cannot be read raises."""
    from apsw import Error as SqliteError
    from rosbags import rosbag1, rosbag2, serde, typesys
    from rosbags.highlevel.anyreader import AnyReaderError

    own: tuple[type[Exception], ...] = (
        rosbag1.ReaderError,
        rosbag2.ReaderError,
        serde.SerdeError,
        typesys.TypesysError,
    )
    return (*own, AnyReaderError, SqliteError, *DAMAGE)


def _streams(path: Path, types: Mapping[str, str], asked: Mapping[str, str]) -> dict[str, str]:
    """{topic: stream} of the topics that can be taken, or of those that were asked for."""
    for topic in asked.keys() - types.keys():
        raise ExchangeError(f"{path}: has no topic {topic}: {', '.join(sorted(types))}")
    chosen: dict[str, str] = {}
    for topic, msgtype in sorted(types.items()):
        kind = bag_message.kind_of_type(msgtype)
        if topic in asked:
            _check_asked(asked[topic], topic, msgtype, kind)
        elif kind is None:
            continue
        chosen[topic] = asked.get(topic) or f"{kind}/{stream_name(topic)}"
    if len(set(chosen.values())) < len(chosen):
        raise ExchangeError(f"{path}: two topics have one name: tell them apart with --map")
    return chosen


def _check_asked(stream: str, topic: str, msgtype: str, kind: str | None) -> None:
    if kind is None:
        raise ExchangeError(f"{topic}: {msgtype} cannot be taken")
    if kind_of(stream) != kind or not re.match(NAME, stream.partition("/")[2]):
        raise ExchangeError(f"--map {topic}={stream}: {msgtype} becomes {kind}/NAME")


def _topic(
    path: Path, topic: str, stream: str, to_hz: int, left_out: Counter[str]
) -> Iterator[Sample]:
    """The samples of one topic."""
    if kind_of(stream) == "microphone":
        with _opened(path) as reader:
            info = next(_messages(reader, msgtype=AUDIO_INFO), None)
            form = sound_format(info[1] if info else None, left_out)
            messages = _messages(reader, topic=topic)
            yield from sound_of(messages, form, stream=stream, to_hz=to_hz, left_out=left_out)
        return
    seq = 0
    with _opened(path) as reader:
        for received_ns, message, msgtype in _messages(reader, topic=topic):
            t_ns = _captured_ns(message, received_ns, left_out)
            try:
                sample = bag_message.sample_of(message, msgtype, stream, t_ns)
            except bag_message.UNFIT as error:
                left_out[f"messages of {topic}: {error}"] += 1
                continue
            yield structs.replace(sample, seq=seq, t_publish_ns=received_ns)
            seq += 1


def _messages(
    reader: AnyReader, *, topic: str = "", msgtype: str = ""
) -> Iterator[tuple[int, Any, str]]:
    """(time of receipt, message, type) of a topic or a type, in order."""
    wanted = [c for c in reader.connections if topic == c.topic or msgtype == c.msgtype]
    if not wanted:
        return
    for connection, received_ns, data in reader.messages(connections=wanted):
        if len(data) > MAX_MESSAGE_BYTES:
            raise ExchangeError(f"{connection.topic}: a message of {len(data)} bytes is too large")
        yield received_ns, reader.deserialize(data, connection.msgtype), connection.msgtype


def _captured_ns(message: Any, received_ns: int, left_out: Counter[str]) -> int:
    """The stamp of the message's header, where it has one that can be of the same clock."""
    stamp = getattr(getattr(message, "header", None), "stamp", None)
    if stamp is None or not (stamp.sec or stamp.nanosec):
        return received_ns
    t_ns = int(stamp.sec) * NS_PER_S + int(stamp.nanosec)
    if received_ns - MAX_DELAY_NS <= t_ns <= received_ns:
        return t_ns
    left_out[OTHER_CLOCK] += 1
    return received_ns
