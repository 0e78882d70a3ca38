"""The members of a protobuf message as a sample; what does not fit together is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np

from engines.output import Value
from pipeline.bus import jpeg
from pipeline.event.event import Event
from pipeline.log import schema
from pipeline.log.pack import TEXT, VECTOR, Members
from pipeline.prediction import SITUATION, Prediction
from pipeline.sample import (
    AudioChunk,
    ColourOrder,
    Frame,
    Health,
    Label,
    Reading,
    Sample,
    TextEvent,
    Tokens,
)


def unpack(kind: str, message: Any, base: Members, wall_minus_monotonic_ns: int) -> Sample:
    """The sample of a message of the schema `kind`. Raises ValueError and msgspec's errors."""
    return _MAKERS[kind](message, base, wall_minus_monotonic_ns)


def _frame(message: Any, base: Members, _: int) -> Sample:
    if message.encoding not in ("bgr8", "rgb8") or message.step != 3 * message.width:
        raise ValueError(f"a picture with the encoding {message.encoding!r}")
    order: ColourOrder = "bgr" if message.encoding == "bgr8" else "rgb"
    pixels = _array(message.data, "u1", (message.height, message.width, 3))
    return Frame(**base, pixels=pixels, order=order)


def _compressed_frame(message: Any, base: Members, _: int) -> Sample:
    if message.format != "jpeg" or message.sensorium_order not in ("", "bgr", "rgb"):
        raise ValueError(f"a picture in the format {message.format!r}, not jpeg")
    order: ColourOrder = "rgb" if message.sensorium_order == "rgb" else "bgr"
    data = memoryview(message.data)
    return Frame(**base, pixels=jpeg.decode(data, jpeg.jpeg_size_px(data), order), order=order)


def _audio(message: Any, base: Members, _: int) -> Sample:
    channels, rate_hz, data = message.number_of_channels, message.sample_rate, message.data
    if message.format != "pcm-s16" or channels < 1 or rate_hz < 1:
        raise ValueError(f"sound in the format {message.format!r}, {rate_hz} Hz x {channels}")
    return AudioChunk(
        **base, pcm=_array(data, "<i2", (len(data) // (2 * channels), channels)), rate_hz=rate_hz
    )


def _text(message: Any, base: Members, _: int) -> Sample:
    fields = message.sensorium_fields_json
    decoded = msgspec.json.decode(fields, type=dict[str, Any]) if fields else {}
    return TextEvent(**base, text=message.message, fields=decoded)


def _reading(message: Any, base: Members, _: int) -> Sample:
    names, units = tuple(message.names), tuple(message.units)
    values = np.array(message.values, np.float32)
    if not len(names) == len(units) == len(values):
        raise ValueError("readings need a name and a unit each")
    values.flags.writeable = False
    return Reading(**base, values=values, names=names, units=units)


def _tokens(message: Any, base: Members, _: int) -> Sample:
    width, data = message.width, message.data
    if width < 1:
        raise ValueError("tokens without a width")
    values = _array(data, "<f4", (len(data) // (4 * width), width))
    return Tokens(**base, of=message.of, values=values)


def _prediction(message: Any, base: Members, offset_ns: int) -> Sample:
    return Prediction(
        **base,
        outputs={head.name: _value(head) for head in message.outputs},
        inputs={
            line.stream: [(used.seq, used.capture_ns - offset_ns) for used in line.samples]
            for line in message.inputs
        },
        ages_ns={age.stream: age.ns for age in message.ages},
        missing=list(message.missing),
        weights=_dict(message.weights),
        backend=_dict(message.backend),
        stages_ns={line.stream: tuple(line.ns) for line in message.stages},
        t_emit_ns=message.emit_ns - offset_ns,
        faults={line.stream: list(line.names) for line in message.faults},
        main=message.main or SITUATION,
        encode_every=message.encode_every or 1,
    )


def _value(head: Any) -> Value:
    if head.form == TEXT:
        return str(head.text)
    if head.form == VECTOR:
        return list(head.vector)
    if head.form:
        raise ValueError(f"head {head.name} has the form {head.form!r}")
    return _dict(head.scores)


def _health(message: Any, base: Members, _: int) -> Sample:
    return Health(
        **base,
        process=message.process,
        pid=message.pid,
        state=message.state,
        counters=_dict(message.counters),
        last_error=message.last_error,
        faults=list(message.faults),
    )


def _label(message: Any, base: Members, offset_ns: int) -> Sample:
    return Label(
        **base,
        label=message.label,
        t_until_ns=message.until_ns - offset_ns,
        source=message.source,
        score=message.score,
    )


def _event(message: Any, base: Members, offset_ns: int) -> Sample:
    if message.phase not in ("start", "end"):
        raise ValueError(f"an event with the phase {message.phase!r}")
    return Event(
        **base,
        name=message.name,
        phase=message.phase,
        label=message.label,
        score=message.score,
        peak=message.peak,
        began_ns=message.began_ns - offset_ns,
        until_ns=message.until_ns - offset_ns,
        top=message.top,
        missing=list(message.missing),
    )


def _dict(pairs: Any) -> dict[str, Any]:
    return {pair.name: pair.value for pair in pairs}


def _array(data: bytes, dtype: str, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """A read-only array of the bytes. Raises ValueError where the sizes differ."""
    expected = int(np.prod(shape, dtype=object)) * np.dtype(dtype).itemsize
    if len(data) != expected:
        raise ValueError(f"{len(data)} bytes, {expected} expected")
    array: np.ndarray[Any, Any] = np.ndarray(shape, dtype, data)
    return array


_MAKERS: Mapping[str, Callable[[Any, Members, int], Sample]] = {
    schema.RAW_IMAGE: _frame,
    schema.COMPRESSED_IMAGE: _compressed_frame,
    schema.RAW_AUDIO: _audio,
    schema.LOG: _text,
    schema.READING: _reading,
    schema.TOKENS: _tokens,
    schema.PREDICTION: _prediction,
    schema.HEALTH: _health,
    schema.LABEL: _label,
    schema.EVENT: _event,
}
