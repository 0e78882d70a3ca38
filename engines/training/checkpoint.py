"""Checkpoints: written whole or not at all, read without running anything that they hold."""

from __future__ import annotations

import os
from pathlib import Path
from pickle import UnpicklingError  # what torch.load raises; nothing is unpickled here
from typing import Any

import torch

from engines.error import EngineError


def save(path: Path, state: dict[str, Any]) -> None:
    """Put a state of tensors and plain values in a file's place. Raises EngineError."""
    draft = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise EngineError(f"{path}: cannot be written: {error.strerror}") from error


def load(path: Path, key: str) -> dict[str, Any] | None:
    """The state of a file, or None if there is none. Raises EngineError.

    `key` says what is trained on what; a checkpoint of something else is refused.
    """
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, UnpicklingError) as error:
        raise EngineError(f"{path}: is no checkpoint, or damaged; delete it") from error
    if not isinstance(state, dict) or state.get("key") != key:
        raise EngineError(
            f"{path}: is of another configuration or other data; delete it, or take another folder"
        )
    return state
