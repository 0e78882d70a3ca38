"""From a window of samples to the input of its encoder. Training calls the same functions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from engines.bundle import AudioSpec, EncoderSpec, ImageSpec, ReadingsSpec, TextSpec
from engines.logmel import LogMel
from engines.preprocess import image_input, readings_input, sound_input, text_input
from pipeline.aligner import Window, WindowRule
from pipeline.error import OverwrittenError, SensoriumError
from pipeline.sample import AudioChunk, Frame, Reading, Sample, TextEvent
from pipeline.stream import Stream

FrontEnd: TypeAlias = Callable[[Window], npt.NDArray[Any]]
NS_PER_S = 1_000_000_000


class RefusedError(SensoriumError):
    """A sample that the bundle cannot use; it is dropped and counted."""


def window_rule(spec: EncoderSpec, line: Stream) -> WindowRule:
    """How the windows of a stream are cut for an encoder."""
    latest, max_age_ns = line.policy == "latest", int(line.max_age_ms * 1e6)
    if isinstance(spec, AudioSpec):
        duration_ns = spec.samples * NS_PER_S // spec.rate_hz
        return WindowRule(max_age_ns=max_age_ns, duration_ns=duration_ns)
    count = spec.window if isinstance(spec, ReadingsSpec) else 1
    return WindowRule(max_age_ns=max_age_ns, count=count, latest=latest)


def check_sample(sample: Sample, spec: EncoderSpec) -> None:
    """Raise RefusedError for a sample that this encoder cannot use."""
    match sample, spec:
        case (Frame(), ImageSpec()) | (TextEvent(), TextSpec()):
            return
        case AudioChunk(), AudioSpec():
            if sample.rate_hz != spec.rate_hz:
                raise RefusedError(f"sound at {sample.rate_hz} Hz: the bundle takes {spec.rate_hz}")
        case Reading(), ReadingsSpec():
            if sample.names != spec.names:
                found, wanted = ", ".join(sample.names), ", ".join(spec.names)
                raise RefusedError(f"readings of {found}: the bundle takes {wanted}")
            if not np.isfinite(sample.values).all():
                raise RefusedError("a reading that is no number")
        case _:
            raise RefusedError(f"a {type(sample).__name__} cannot feed {type(spec).__name__}")


def front_end(spec: EncoderSpec, folder: Path | None = None) -> FrontEnd:
    """The preprocessing of one stream; it may keep what the next window shares with this one.

    `folder` is the bundle's, or that of the tokenizer: only a text encoder that has one needs it.
    """
    match spec:
        case ImageSpec():
            return lambda window: _image(cast(Frame, window[-1]), spec)
        case AudioSpec(computed="graph"):
            return lambda window: _sound(window, spec)
        case AudioSpec():
            return _AudioFrontEnd(spec)
        case TextSpec():
            return lambda window: text_input(cast(TextEvent, window[-1]).text, spec, folder)
        case ReadingsSpec():
            return lambda window: readings_input([cast(Reading, s).values for s in window], spec)
    raise TypeError(type(spec).__name__)


def _image(frame: Frame, spec: ImageSpec) -> npt.NDArray[np.uint8]:
    made = image_input(frame.pixels, frame.order, spec)
    if not frame.intact():
        raise OverwrittenError(f"{frame.stream}: frame {frame.seq} was overwritten in use")
    return made


def _sound(window: Window, spec: AudioSpec) -> npt.NDArray[np.float32]:
    chunks = [cast(AudioChunk, sample).pcm for sample in window]
    return sound_input(np.concatenate(chunks), spec)


class _AudioFrontEnd:
    """Computes only the frames of chunks that the last window did not hold.

    The answer is that of the window alone: frames start with its first sample, whatever came
    before. Where the last window's frames do not lie so, all are computed anew.
    """

    def __init__(self, spec: AudioSpec) -> None:
        self._log_mel, self._hop = LogMel(spec), spec.hop_samples
        self._last: Sample | None = None
        self._n_pushed = 0  # samples since the reset

    def __call__(self, window: Window) -> npt.NDArray[np.float32]:
        chunks = [cast(AudioChunk, sample) for sample in window]
        n_known = next((n for n, x in enumerate(chunks, 1) if x is self._last), 0)
        before = self._n_pushed - sum(len(chunk.pcm) for chunk in chunks[:n_known])
        if not n_known or before < 0 or before % self._hop:
            self._log_mel.reset()
            n_known = self._n_pushed = 0
        for chunk in chunks[n_known:]:
            self._log_mel.push(chunk.pcm)
            self._n_pushed += len(chunk.pcm)
        self._last = chunks[-1]
        return self._log_mel.features()
