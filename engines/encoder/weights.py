"""Weights from a local file, and what is told when they are not those of the model.

A file is data: safetensors and npz hold arrays only, and a torch file is read without unpickling
anything but tensors.
"""

from __future__ import annotations

import math
import pickle
import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from engines.error import EngineError

# https://huggingface.co/docs/safetensors/index#format: 8 bytes of length, JSON, then the arrays.
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
NESTED = ("state_dict", "model_state_dict", "model")  # where training programs keep the weights
N_NAMED = 3  # keys that an error names


class Entry(msgspec.Struct, frozen=True):
    """One array of a safetensors file: its type, shape, and first and last byte plus one."""

    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


def read_weights(path: Path) -> dict[str, Tensor]:
    """{name: tensor} of a .safetensors, .pt, .pth, .bin or .npz file. Raises EngineError."""
    readers = {".safetensors": _safetensors, ".npz": _npz}
    readers |= dict.fromkeys((".pt", ".pth", ".bin"), _torch)
    if path.suffix not in readers:
        kinds = ", ".join(readers)
        raise EngineError(f"weights {path}: {path.suffix or 'no'} file; it must be one of {kinds}")
    try:
        return readers[path.suffix](path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise EngineError(f"weights {path}: cannot be read: {reason}") from error
    except (ValueError, KeyError, struct.error, RuntimeError, EOFError) as error:
        raise EngineError(f"weights {path}: the file is damaged: {error}") from error
    except (pickle.UnpicklingError, zipfile.BadZipFile) as error:
        raise EngineError(f"weights {path}: not a plain file of weights") from error


def load_weights(module: nn.Module, weights: Mapping[str, Tensor], ignored: Sequence[str]) -> None:
    """Fill every parameter and buffer; names that begin with one of `ignored` are left out.

    Raises EngineError, which names the keys that lack, are too many, or have another shape.
    """
    kept = {key: value for key, value in weights.items() if not key.startswith(tuple(ignored))}
    own = module.state_dict()
    counters = {key for key in own if key.endswith("num_batches_tracked")}  # older files have none
    _refuse("lack", own.keys() - kept.keys() - counters)
    _refuse("have what this encoder does not know:", kept.keys() - own.keys())
    differing = {
        f"{key} is {tuple(kept[key].shape)}, must be {tuple(value.shape)}"
        for key, value in own.items()
        if key in kept and kept[key].shape != value.shape
    }
    _refuse("have other shapes:", differing)
    module.load_state_dict({key: kept.get(key, value) for key, value in own.items()})


def _refuse(what: str, keys: set[str]) -> None:
    if keys:
        named = ", ".join(sorted(keys)[:N_NAMED])
        more = f" and {len(keys) - N_NAMED} more" if len(keys) > N_NAMED else ""
        raise EngineError(f"the weights {what} {named}{more}")


def _safetensors(path: Path) -> dict[str, Tensor]:
    data = path.read_bytes()
    (size,) = struct.unpack_from("<Q", data)
    head: dict[str, Any] = msgspec.json.decode(data[8 : 8 + size])
    head.pop("__metadata__", None)
    entries = msgspec.convert(head, dict[str, Entry])
    body = memoryview(data)[8 + size :]
    return {name: _array(body, entry) for name, entry in entries.items()}


def _array(body: memoryview, entry: Entry) -> Tensor:
    dtype, (first, end) = DTYPES[entry.dtype], entry.data_offsets
    if end - first != math.prod(entry.shape) * dtype.itemsize or not 0 <= first <= end <= len(body):
        raise ValueError("an array does not fit")
    if first == end:
        return torch.empty(entry.shape, dtype=dtype)
    return torch.frombuffer(bytearray(body[first:end]), dtype=dtype).reshape(entry.shape)


def _npz(path: Path) -> dict[str, Tensor]:
    with np.load(path, allow_pickle=False) as stored:
        return {name: torch.from_numpy(np.asarray(stored[name])) for name in stored.files}


def _torch(path: Path) -> dict[str, Tensor]:
    found = torch.load(path, map_location="cpu", weights_only=True)
    for key in NESTED:
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict):
        raise ValueError("it holds no table of weights")
    return {str(key): value for key, value in found.items() if isinstance(value, Tensor)}
