"""torchaudio, by which our features are judged; the product does not import it."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any

import pytest

EXTENSION = "torchaudio._extension.utils"


def import_torchaudio() -> Any:
    """torchaudio, or skip. Its wheels may carry extensions that are linked against CUDA.

    Then its own answer for "there is no such library" is given for each, in memory only: what is
    used here is written in Python.
    """
    if importlib.util.find_spec("torchaudio") is None:
        pytest.skip("needs the extra: test")
    try:
        return importlib.import_module("torchaudio")
    except OSError:
        return _without_extensions()


def _without_extensions() -> ModuleType:
    for name in [name for name in sys.modules if name.split(".")[0] == "torchaudio"]:
        del sys.modules[name]
    found = importlib.util.find_spec("torchaudio")
    assert found is not None and found.submodule_search_locations
    path = f"{found.submodule_search_locations[0]}/_extension/utils.py"
    spec = importlib.util.spec_from_file_location(EXTENSION, path)
    assert spec is not None and spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module._load_lib = lambda lib: False
    sys.modules[EXTENSION] = module
    return importlib.import_module("torchaudio")
