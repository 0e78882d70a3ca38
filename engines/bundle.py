"""A bundle: the folder that carries everything a model needs at run time.

`bundle.json` holds the Manifest; beside it lie the ONNX files and `probe.npz`, the inputs and
reference outputs of every graph, which a backend must reproduce before it is used.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta, Struct

from engines.error import BundleError
from engines.fusion.name import DEFAULT_FUSION

FORMAT = 1
SHIPPED = Path(__file__).parent / "bundles"
Count: TypeAlias = Annotated[int, Meta(ge=1)]


class File(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of the bundle and the SHA-256 of its bytes."""

    file: Annotated[str, Meta(pattern=r"^[\w-]+\.\w+$")]
    sha256: str


class EncoderSpec(File, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One encoder: how many tokens it makes of a stream, and how many streams may feed it."""

    tokens: Count
    max_streams: Count


class ImageSpec(EncoderSpec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Newest frame, resized to `height_px` x `width_px` by bilinear interpolation."""

    height_px: Count
    width_px: Count


class AudioSpec(EncoderSpec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Log-mel energies of the newest `frames` frames; see engines.logmel.LogMel."""

    rate_hz: Count
    mels: Count
    frames: Count
    frame_samples: Count
    hop_samples: Count


class TextSpec(EncoderSpec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Newest event, as UTF-8 bytes cut or zero-padded to `length`."""

    length: Count


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
    """What `bundle.json` says. `width` is D, the width of every token."""

    format: int
    name: str
    labels: tuple[str, ...]
    width: Count
    encoders: Encoders
    fusion: FusionFile
    probe: File
    made_by: str = ""

    @property
    def specs(self) -> dict[str, EncoderSpec]:
        """{modality: spec}, in the order of modality ids and slots."""
        pairs = ((name, getattr(self.encoders, name)) for name in Encoders.__struct_fields__)
        return {name: spec for name, spec in pairs if spec is not None}

    @property
    def n_slots(self) -> int:
        """N, the number of token slots of the fusion graph."""
        return sum(spec.tokens * spec.max_streams for spec in self.specs.values())

    @property
    def files(self) -> Mapping[str, File]:
        """Every file by its role: the modalities, then "fusion" and "probe"."""
        return {**self.specs, "fusion": self.fusion, "probe": self.probe}


class Bundle(Struct, frozen=True):
    """A manifest and the folder it came from."""

    folder: Path
    manifest: Manifest

    def path(self, role: str) -> Path:
        """The file of a modality, of "fusion" or of "probe"."""
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
