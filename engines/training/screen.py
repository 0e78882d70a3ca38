"""Examples that nobody can learn from are left out, and counted with the reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

from engines.bundle import Encoders, EncoderSpec
from engines.compiled import input_spec
from engines.error import EngineError
from engines.example import Example


def screened(examples: Iterable[Example], specs: Encoders) -> tuple[list[Example], Counter[str]]:
    """The sound examples, and {reason: how many were left out}. Raises EngineError if none is."""
    left_out: Counter[str] = Counter()
    sound = []
    wanted = {name: getattr(specs, name) for name in Encoders.__struct_fields__}
    for example in examples:
        reason = _flaw(example, wanted)
        if reason:
            left_out[reason] += 1
        else:
            sound.append(example)
    if not sound:
        reasons = "; ".join(f"{n}: {reason}" for reason, n in left_out.most_common()) or "none came"
        raise EngineError(f"there are no examples to learn from ({reasons}); check the logs")
    return sound, left_out


def _flaw(example: Example, specs: dict[str, EncoderSpec | None]) -> str:
    """What is wrong with an example; "" if nothing is."""
    known = {name: value for name, value in example.inputs.items() if specs.get(name) is not None}
    if not known:
        return "no modality that has an encoder"
    for name, value in known.items():
        spec = specs[name]
        assert spec is not None
        wanted = input_spec(spec)
        if value.shape != wanted.shape or value.dtype != wanted.dtype:
            return f"{name} is {value.dtype} {value.shape}, not {wanted.dtype} {wanted.shape}"
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            return f"{name} has values that are not finite"
        if not np.isfinite(example.ages_s.get(name, np.nan)):
            return f"{name} has no age"
    return ""
