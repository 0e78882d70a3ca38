"""Small samples and predictions for the tests of recording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from pipeline.log.codec import Encoded, encode
from pipeline.log.form import LogHeader
from pipeline.prediction import SITUATION, Prediction
from pipeline.sample import Health, TextEvent

SECOND_NS = 1_000_000_000
HEADER = LogHeader(monotonic_ns=1_000 * SECOND_NS, wall_ns=1_784_000_000 * SECOND_NS)
STREAM = "text/events"


def event(seq: int, t_ns: int, text: str = "a") -> TextEvent:
    return TextEvent(stream=STREAM, seq=seq, t_capture_ns=t_ns, t_publish_ns=t_ns, text=text)


def message(seq: int, t_ns: int, size_bytes: int = 100) -> Encoded:
    """A text event of about this size, as a log takes it."""
    made = encode(event(seq, t_ns, "x" * size_bytes), "lossless", HEADER.wall_minus_monotonic_ns)
    return replace(made, parts=(b"".join(made.parts),))


def prediction(
    tick_ns: int,
    scores: Mapping[str, float],
    *,
    missing: Sequence[str] = (),
    took_ms: float = 1.0,
    ages_ns: Mapping[str, int] | None = None,
) -> Prediction:
    emit_ns = tick_ns + int(took_ms * 1e6)
    return Prediction(
        stream="prediction/home",
        seq=0,
        t_capture_ns=tick_ns,
        t_publish_ns=emit_ns,
        t_emit_ns=emit_ns,
        outputs={SITUATION: dict(scores)},
        inputs={},
        ages_ns=dict(ages_ns or {}),
        missing=list(missing),
        weights={},
        backend={"requested": "onnxruntime", "active": "onnxruntime"},
    )


def health(process: str, t_ns: int, state: str = "running", pid: int = 1) -> Health:
    return Health(
        stream=f"health/{process}",
        seq=0,
        t_capture_ns=t_ns,
        t_publish_ns=t_ns,
        process=process,
        pid=pid,
        state=state,
    )
