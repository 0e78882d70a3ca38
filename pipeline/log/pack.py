"""A sample's fields as the members of its protobuf message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec
import numpy as np

from engines.output import Value
from pipeline.bus import jpeg
from pipeline.event.event import Event
from pipeline.log import schema
from pipeline.prediction import Prediction
from pipeline.sample import (
    AudioChunk,
    Frame,
    Health,
    Label,
    Reading,
    Sample,
    TextEvent,
    Tokens,
)
from pipeline.stream import Form

JPEG_QUALITY = 85
TEXT, VECTOR = "text", "vector"  # forms of what a head says; the other is scores

Buffer: TypeAlias = "bytes | memoryview"
Members: TypeAlias = dict[str, Any]


def pack(
    sample: Sample, form: Form, offset_ns: int, quality: int = JPEG_QUALITY
) -> tuple[str, Members, Buffer]:
    """The schema, the small members, and the large one. Raises ValueError and TypeError."""
    match sample:
        case Frame():
            return _jpeg(sample, quality) if form == "jpeg" else _raw_image(sample)
        case AudioChunk():
            channels = sample.pcm.shape[1]
            members = {"sample_rate": sample.rate_hz, "number_of_channels": channels}
            return schema.RAW_AUDIO, {"format": "pcm-s16", **members}, _bytes(sample.pcm, "<i2")
        case TextEvent():
            fields = msgspec.json.encode(sample.fields).decode() if sample.fields else ""
            members = {"message": sample.text, "sensorium_fields_json": fields}
            return schema.LOG, {"level": schema.LEVEL_INFO, **members}, b""
        case Reading():
            values = sample.values.tolist()
            members = {"names": sample.names, "units": sample.units, "values": values}
            return schema.READING, members, b""
        case Tokens():
            members = {"of": sample.of, "width": sample.values.shape[1]}
            return schema.TOKENS, members, _bytes(sample.values, "<f4")
    return (*_small(sample, offset_ns), b"")


def _small(sample: Sample, offset_ns: int) -> tuple[str, Members]:
    match sample:
        case Prediction():
            return schema.PREDICTION, _prediction_members(sample, offset_ns)
        case Health():
            members = {"process": sample.process, "pid": sample.pid, "state": sample.state}
            members |= {"counters": _pairs(sample.counters), "last_error": sample.last_error}
            return schema.HEALTH, {**members, "faults": sample.faults}
        case Label():
            until_ns = sample.t_until_ns + offset_ns
            members = {"label": sample.label, "until_ns": until_ns}
            return schema.LABEL, {**members, "source": sample.source, "score": sample.score}
        case Event():
            return schema.EVENT, _event_members(sample, offset_ns)
    raise TypeError(f"{type(sample).__name__} has no form in a log")


def _event_members(sample: Event, offset_ns: int) -> Members:
    return {
        "name": sample.name,
        "phase": sample.phase,
        "label": sample.label,
        "score": sample.score,
        "peak": sample.peak,
        "began_ns": sample.began_ns + offset_ns,
        "until_ns": sample.until_ns + offset_ns,
        "top": sample.top,
        "missing": sample.missing,
    }


def _raw_image(frame: Frame) -> tuple[str, Members, Buffer]:
    height, width, _ = frame.pixels.shape
    members = {"width": width, "height": height, "step": 3 * width}
    return schema.RAW_IMAGE, {"encoding": frame.order + "8", **members}, _bytes(frame.pixels, "u1")


def _jpeg(frame: Frame, quality: int) -> tuple[str, Members, Buffer]:
    data = jpeg.encode(frame.pixels, frame.order, quality)
    return schema.COMPRESSED_IMAGE, {"format": "jpeg", "sensorium_order": frame.order}, data


def _bytes(array: np.ndarray[Any, Any], dtype: str) -> Buffer:
    flat = np.ascontiguousarray(array, dtype)
    return flat.data.cast("B") if flat.size else b""


def _pairs(values: Mapping[str, Any]) -> list[Members]:
    return [{"name": name, "value": value} for name, value in values.items()]


def _head_members(name: str, value: Value) -> Members:
    match value:
        case str():
            return {"name": name, "form": TEXT, "text": value}
        case list():
            return {"name": name, "form": VECTOR, "vector": value}
    return {"name": name, "scores": _pairs(value)}


def _prediction_members(sample: Prediction, offset_ns: int) -> Members:
    ages, stages = sample.ages_ns.items(), sample.stages_ns.items()
    return {
        "outputs": [_head_members(name, value) for name, value in sample.outputs.items()],
        "inputs": [
            {
                "stream": stream,
                "samples": [{"seq": seq, "capture_ns": ns + offset_ns} for seq, ns in used],
            }
            for stream, used in sample.inputs.items()
        ],
        "ages": [{"stream": stream, "ns": ns} for stream, ns in ages],
        "missing": sample.missing,
        "weights": _pairs(sample.weights),
        "backend": _pairs(sample.backend),
        "stages": [{"stream": stream, "ns": ns} for stream, ns in stages],
        "emit_ns": sample.t_emit_ns + offset_ns,
        "faults": [{"stream": s, "names": names} for s, names in sample.faults.items()],
        "main": sample.main,
        "encode_every": sample.encode_every if sample.encode_every > 1 else 0,
    }
