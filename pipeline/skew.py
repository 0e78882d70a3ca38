"""How far apart in time the samples lie that one prediction takes for the same moment."""

from __future__ import annotations

from itertools import combinations

from pipeline.prediction import Prediction
from pipeline.stream import kind_of

# They sense all the time. Text and readings are of the moment at which something was said.
ALWAYS = ("camera", "microphone")


def skews_ns(prediction: Prediction) -> dict[str, int]:
    """{"camera/a microphone/b": by how much the ends of their newest samples differ}."""
    ages_ns = {s: age for s, age in prediction.ages_ns.items() if kind_of(s) in ALWAYS}
    return {
        f"{one} {other}": abs(ages_ns[one] - ages_ns[other])
        for one, other in combinations(sorted(ages_ns), 2)
    }
