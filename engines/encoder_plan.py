"""The tables [model.image], [model.audio], [model.text] and [model.readings]: what each sees."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from engines.bundle import AudioSpec, Count, ImageSpec, ReadingsSpec, TextSpec
from engines.error import EngineError
from engines.tokenizer import foreign_text


class ImagePlan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[model.image]: the encoder, the size it sees, and a file with weights to begin with."""

    encoder: Literal["cnn", "small", "patches", "mobilenet", "resnet50"] = "cnn"
    max_streams: Count = 1
    height_px: Count = 96
    width_px: Count = 96
    weights: str = ""

    def spec(self, tokens: int) -> ImageSpec:
        """What the encoder takes and makes. Raises EngineError for weights that are not there."""
        if self.weights and not Path(self.weights).is_file():
            raise EngineError(f"weights {self.weights}: there is no such file")
        return ImageSpec(
            file="image.onnx",
            sha256="",
            tokens=tokens,
            max_streams=self.max_streams,
            height_px=self.height_px,
            width_px=self.width_px,
        )


class AudioPlan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[model.audio]: the encoder, and the features that it sees."""

    encoder: Literal["cnn", "bands", "conformer"] = "cnn"
    features: Literal["logmel", "mfcc"] = "logmel"
    max_streams: Count = 1
    rate_hz: Count = 16_000
    mels: Count = 64
    frames: Count = 98
    frame_samples: Count = 400
    hop_samples: Count = 160
    coefficients: Count = 20
    computed: Literal["host", "graph"] = "host"

    def __post_init__(self) -> None:
        if self.features == "mfcc" and self.coefficients > self.mels:
            raise ValueError(f"{self.coefficients} coefficients of {self.mels} mels: at most those")

    def spec(self, tokens: int) -> AudioSpec:
        """What the encoder takes and makes."""
        return AudioSpec(
            file="audio.onnx",
            sha256="",
            tokens=tokens,
            max_streams=self.max_streams,
            rate_hz=self.rate_hz,
            mels=self.mels,
            frames=self.frames,
            frame_samples=self.frame_samples,
            hop_samples=self.hop_samples,
            features=self.features,
            coefficients=self.coefficients,
            computed=self.computed,
        )


class TextPlan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[model.text]: the encoder, how many bytes it reads, and the folder of a foreign one."""

    encoder: Literal["gru", "lstm", "grams", "transformer", "huggingface"] = "gru"
    max_streams: Count = 1
    length: Count = 96
    folder: str = ""

    def __post_init__(self) -> None:
        if (self.encoder == "huggingface") != bool(self.folder):
            raise ValueError("encoder `huggingface` goes with a `folder`, and no other does")

    def spec(self, tokens: int) -> TextSpec:
        """What the encoder takes and makes. Raises EngineError for a folder that is not one."""
        spec = TextSpec(
            file="text.onnx",
            sha256="",
            tokens=tokens,
            max_streams=self.max_streams,
            length=self.length,
        )
        return foreign_text(spec, Path(self.folder)) if self.folder else spec


class ReadingsPlan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[model.readings]: the encoder, the quantities it reads, and how many values of each."""

    encoder: Literal["mlp", "conv"] = "mlp"
    max_streams: Count = 1
    names: Annotated[tuple[str, ...], Meta(min_length=1)]
    window: Count = 8

    def spec(self, tokens: int) -> ReadingsSpec:
        """What the encoder takes and makes."""
        return ReadingsSpec(
            file="readings.onnx",
            sha256="",
            tokens=tokens,
            max_streams=self.max_streams,
            names=self.names,
            window=self.window,
        )


EncoderPlan: TypeAlias = ImagePlan | AudioPlan | TextPlan | ReadingsPlan
