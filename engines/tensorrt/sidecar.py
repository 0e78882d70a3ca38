"""What decides an engine, and what lies in the cache beside it."""

from __future__ import annotations

import hashlib

import msgspec
from msgspec import Struct

from engines.error import EngineError

DIGEST_CHARS = 32


class Key(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that decides what an engine is; where one of it differs, it is another engine.

    Flags are names: their numbers differ between versions. `gpu`, `compute_capability` and
    `driver` are empty for an engine that was built ahead for any GPU.
    """

    graph_sha256: str
    precision: str
    backend: str
    version: str
    machine: str
    gpu: str
    compute_capability: str
    driver: str
    profile: str
    flags: tuple[str, ...]

    @property
    def digest(self) -> str:
        """The name of its files."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:DIGEST_CHARS]


class Sidecar(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The key of an engine, the hash and size of its plan, and how it was made."""

    key: Key
    plan_sha256: str
    plan_bytes: int
    source: str  # the ONNX file's name
    build_s: float
    built_at: str  # UTC, ISO 8601


def encode(sidecar: Sidecar) -> bytes:
    """The sidecar as a JSON text to read."""
    return msgspec.json.format(msgspec.json.encode(sidecar), indent=2) + b"\n"


def decode(content: bytes) -> Sidecar:
    """The sidecar of a JSON text. Raises EngineError."""
    try:
        return msgspec.json.decode(content, type=Sidecar)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise EngineError(f"it is no sidecar of an engine: {error}") from error
