"""The encoders by (modality, name). A new one is a class here and its name in a config.

An encoder is a torch module made of the modality's spec and the width D of its tokens; its graph
takes what engines.compiled.input_spec says and gives tokens float32 (B, TOKENS, D). `TOKENS` is
an attribute of the class, so that the spec of a bundle can be drawn up before anything is made.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from engines.bundle import AudioSpec, EncoderSpec
from engines.encoder.audio_bands import AudioBands
from engines.encoder.audio_cnn import AudioCnn
from engines.encoder.audio_conformer import AudioConformer
from engines.encoder.image_cnn import ImageCnn
from engines.encoder.image_mobilenet import ImageMobilenet
from engines.encoder.image_patches import ImagePatches
from engines.encoder.image_resnet50 import ImageResnet50
from engines.encoder.image_small import ImageSmall
from engines.encoder.readings_conv import ReadingsConv
from engines.encoder.readings_mlp import ReadingsMlp
from engines.encoder.spectrum import Spectrum
from engines.encoder.text_grams import TextGrams
from engines.encoder.text_huggingface import TextHuggingFace
from engines.encoder.text_recurrent import TextGru, TextLstm
from engines.encoder.text_transformer import TextTransformer
from engines.encoder.weights import load_weights, read_weights
from engines.error import EngineError

ENCODERS: dict[str, dict[str, Any]] = {
    "image": {
        "cnn": ImageCnn,
        "small": ImageSmall,
        "patches": ImagePatches,
        "mobilenet": ImageMobilenet,
        "resnet50": ImageResnet50,
    },
    "audio": {"cnn": AudioCnn, "bands": AudioBands, "conformer": AudioConformer},
    "text": {
        "gru": TextGru,
        "lstm": TextLstm,
        "grams": TextGrams,
        "transformer": TextTransformer,
        "huggingface": TextHuggingFace,
    },
    "readings": {"mlp": ReadingsMlp, "conv": ReadingsConv},
}
FROM_FOLDER = (TextHuggingFace,)


def encoder_class(modality: str, name: str) -> Any:
    """The class of an encoder. Raises EngineError, which names those there are."""
    known = ENCODERS.get(modality, {})
    if name not in known:
        names = ", ".join(known) or "none"
        raise EngineError(f"encoder {name!r} of {modality}: there is none; choose one of: {names}")
    return known[name]


def tokens_of(modality: str, name: str) -> int:
    """How many tokens an encoder makes of a stream."""
    return int(encoder_class(modality, name).TOKENS)


def make_encoder(
    modality: str, name: str, spec: EncoderSpec, width: int, source: str = ""
) -> nn.Module:
    """A new encoder, with random weights or those of `source`: a file, or a foreign folder.

    A file has the names of the encoder's own state dict, or those of a body that is known
    elsewhere, such as ResNet-50's in torchvision. Raises EngineError.
    """
    made = encoder_class(modality, name)
    if made in FROM_FOLDER:
        if not source:
            raise EngineError(f"encoder {name!r} of {modality}: it needs a folder")
        foreign: nn.Module = made(spec, width, Path(source))
        return foreign
    encoder: nn.Module = made(spec, width)
    if source:
        body = encoder.get_submodule(getattr(made, "BODY", ""))
        try:
            load_weights(body, read_weights(Path(source)), getattr(made, "IGNORED", ()))
        except EngineError as error:
            raise EngineError(f"encoder {name!r} of {modality}, {source}: {error}") from error
    if isinstance(spec, AudioSpec) and spec.computed == "graph":
        return nn.Sequential(Spectrum(spec), encoder)
    return encoder
