"""A bundle: the folder that carries everything a model needs at run time.

`bundle.json` holds the Manifest; beside it lie the ONNX files and `probe.npz`, the inputs and
reference outputs of every graph, which a backend must reproduce before it is used.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from engines.error import BundleError
from engines.fusion.name import DEFAULT_FUSION
from engines.output import CaptionOutput, Output, main_head, names_of
from engines.output import Count as Count
from engines.output import File as File

FORMAT = 2
SHIPPED = Path(__file__).parent / "bundles"


class EncoderSpec(File, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One encoder: how many tokens it makes of a stream, and how many streams may feed it."""

    tokens: Count
    max_streams: Count


class ImageSpec(EncoderSpec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Newest frame, resized to `height_px` x `width_px` by bilinear interpolation."""

    height_px: Count
    width_px: Count


class AudioSpec(EncoderSpec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Log-mel energies of the newest `frames` frames, or MFCC made of them; see engines.logmel.

    `coefficients` is how many of the MFCC are kept; it means nothing with "logmel". Features that
    are `computed` in the graph are made there of `samples` of sound.
    """

    rate_hz: Count
    mels: Count
    frames: Count
    frame_samples: Count
    hop_samples: Count
    features: Literal["logmel", "mfcc"] = "logmel"
    coefficients: Count = 20
    computed: Literal["host", "graph"] = "host"

    @property
    def samples(self) -> int:
        """How much sound the features are of."""
        return self.frame_samples + (self.frames - 1) * self.hop_samples

    @property
    def bands(self) -> int:
        """How many features a frame has."""
        return self.mels if self.features == "logmel" else self.coefficients


class TextSpec(EncoderSpec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Newest event, cut or zero-padded to `length`: its UTF-8 bytes, or the ids of a tokenizer.

    `vocabulary` is how many ids there are: 256 bytes, or what the tokenizer knows.
    """

    length: Count
    vocabulary: Count = 256
    tokenizer: File | None = None


class ReadingsSpec(EncoderSpec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Newest `window` readings of the quantities `names`, oldest first."""

    names: tuple[str, ...]
    window: Count


class FusionFile(File, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The fusion, and which of engines.fusion.name.FUSIONS it is; the first bundles did not say."""

    method: str = DEFAULT_FUSION


class Encoders(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The encoders, by modality. Their order here is the order of modality ids and slots."""

    image: ImageSpec | None = None
    audio: AudioSpec | None = None
    text: TextSpec | None = None
    readings: ReadingsSpec | None = None


class Manifest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `bundle.json` says. `width` is D, the width of every token.

    The order of the heads is that of the fusion's outputs. `variants` {precision: {role: file}}
    holds graphs of another precision than fp32, which may take the place of those of their roles.
    """

    format: int
    name: str
    heads: Annotated[dict[str, Output], Meta(min_length=1)]
    width: Count
    encoders: Encoders
    fusion: FusionFile
    probe: File
    made_by: str = ""
    variants: dict[str, dict[str, File]] = {}

    @property
    def specs(self) -> dict[str, EncoderSpec]:
        """{modality: spec}, in the order of modality ids and slots."""
        pairs = ((name, getattr(self.encoders, name)) for name in Encoders.__struct_fields__)
        return {name: spec for name, spec in pairs if spec is not None}

    @property
    def main(self) -> str:
        """The name of the main head."""
        return main_head(self.heads)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of the main head, or the names of its numbers."""
        return names_of(self.heads[self.main])

    @property
    def captions(self) -> dict[str, CaptionOutput]:
        """The heads that speak, each with a graph of its own."""
        return {n: head for n, head in self.heads.items() if isinstance(head, CaptionOutput)}

    @property
    def n_slots(self) -> int:
        """N, the number of token slots of the fusion graph."""
        return sum(spec.tokens * spec.max_streams for spec in self.specs.values())

    @property
    def files(self) -> Mapping[str, File]:
        """Every file by its role: the modalities, heads that speak, "fusion", "probe" and others.

        The others are "tokenizer", if there is one, and ROLE.PRECISION of each variant.
        """
        tokenizer = self.encoders.text.tokenizer if self.encoders.text else None
        others = {f"{r}.{p}": file for p, own in self.variants.items() for r, file in own.items()}
        others |= {"tokenizer": tokenizer} if tokenizer else {}
        return {
            **self.specs,
            **self.captions,
            "fusion": self.fusion,
            "probe": self.probe,
            **others,
        }


class Bundle(Struct, frozen=True):
    """A manifest and the folder it came from."""

    folder: Path
    manifest: Manifest

    def path(self, role: str) -> Path:
        """The file of a role, which Manifest.files names."""
        return self.folder / self.manifest.files[role].file


def find_bundle(name: str) -> Path:
    """The folder of a shipped bundle, or the folder that `name` is. Raises BundleError."""
    for folder in (Path(name),) if os.sep in name else (SHIPPED / name, Path(name)):
        if (folder / "bundle.json").is_file():
            return folder
    shipped = ", ".join(sorted(path.name for path in SHIPPED.glob("*"))) or "none"
    raise BundleError(f"bundle {name!r}: no folder with a bundle.json; shipped bundles: {shipped}")


def read_manifest(folder: Path) -> Manifest:
    """Read and check `bundle.json`. Raises BundleError."""
    path = folder / "bundle.json"
    try:
        head = msgspec.json.decode(path.read_bytes())
        if not isinstance(head, dict) or head.get("format") != FORMAT:
            raise BundleError(f"{path}: is not a bundle of format {FORMAT}")
        return msgspec.convert(head, Manifest)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BundleError(f"{path}: {error}") from error


def load_bundle(name: str) -> Bundle:
    """Find a bundle, read its manifest and check the hash of every file. Raises BundleError."""
    folder = find_bundle(name)
    bundle = Bundle(folder, read_manifest(folder))
    for role, entry in bundle.manifest.files.items():
        path = bundle.path(role)
        try:
            found = sha256(path)
        except OSError as error:
            raise BundleError(f"{path}: cannot be read: {error.strerror}") from error
        if found != entry.sha256:
            raise BundleError(
                f"{path}: SHA-256 is {found[:12]}..., bundle.json says {entry.sha256[:12]}...;"
                " the file was changed or damaged"
            )
    return bundle


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `bundle.json`, whole or not at all."""
    draft = folder / "bundle.json.part"
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
    draft.replace(folder / "bundle.json")
