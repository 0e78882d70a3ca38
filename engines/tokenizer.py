"""The tokenizer of a foreign text encoder: a `tokenizer.json`, run by the package tokenizers.

It runs on the host, in training and at run time alike; the graph takes its ids, each plus one.
"""

from __future__ import annotations

import shutil
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from engines.bundle import TextSpec, sha256
from engines.error import EngineError
from engines.output import File

TOKENIZER = "tokenizer.json"


class Vocabulary(msgspec.Struct, frozen=True):
    """What of the `config.json` of a foreign encoder its input depends on."""

    vocab_size: int


def foreign_text(spec: TextSpec, folder: Path) -> TextSpec:
    """The spec of a text encoder with the tokenizer of a folder. Raises EngineError."""
    try:
        found = msgspec.json.decode((folder / "config.json").read_bytes(), type=Vocabulary)
        digest = sha256(folder / TOKENIZER)
    except OSError as error:
        raise EngineError(
            f"{error.filename}: cannot be read: {error.strerror}; a folder of a Hugging Face"
            f" encoder holds config.json, {TOKENIZER} and model.safetensors"
        ) from error
    except msgspec.MsgspecError as error:
        raise EngineError(f"{folder / 'config.json'}: {error}") from error
    return msgspec.structs.replace(
        spec, vocabulary=found.vocab_size, tokenizer=File(file=TOKENIZER, sha256=digest)
    )


def tokenized(text: str, spec: TextSpec, folder: Path) -> npt.NDArray[np.int32]:
    """The first ids of a text, each plus one, zero-padded: int32 (1, length).

    What ends a text, such as [SEP], is kept where the text is cut. Raises EngineError.
    """
    assert spec.tokenizer is not None
    tokenizer = open_tokenizer(folder / spec.tokenizer.file, spec.tokenizer.sha256, spec.length)
    ids = np.array(tokenizer.encode(text).ids, np.int32)
    if len(ids) and int(ids.max()) >= spec.vocabulary:
        raise EngineError(
            f"{spec.tokenizer.file}: id {ids.max()}, but the encoder knows {spec.vocabulary} ids"
        )
    out = np.zeros((1, spec.length), np.int32)
    out[0, : len(ids)] = ids + 1
    return out


def copy_tokenizer(text: TextSpec | None, source: Path, folder: Path) -> None:
    """Put the tokenizer of a spec from `source` beside the graphs. Raises EngineError."""
    if text is None or text.tokenizer is None:
        return
    try:
        shutil.copyfile(source / text.tokenizer.file, folder / text.tokenizer.file)
    except OSError as error:
        raise EngineError(
            f"{source / text.tokenizer.file}: cannot be copied: {error.strerror}"
        ) from error


@lru_cache(maxsize=4)
def open_tokenizer(path: Path, digest: str, length: int) -> Any:
    """A tokenizer that cuts to `length` ids. Raises EngineError, also for another file."""
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise EngineError(
            "the text encoder needs the package tokenizers: pip install 'sensorium[huggingface]'"
        ) from error
    try:
        data = path.read_bytes()
        if sha256(path) != digest:
            raise EngineError(f"{path}: the file was changed; it is not the one that was trained")
        tokenizer = Tokenizer.from_buffer(data)
    except OSError as error:
        raise EngineError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise EngineError(f"{path}: not a tokenizer: {error}") from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(length)
    return tokenizer
