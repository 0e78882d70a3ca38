"""Scores of captions: BLEU and chrF by sacrebleu, and how many key words of the truth were said."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipeline.error import SensoriumError

# What carries no meaning of its own in a short caption.
_SMALL = "a an and are at be by for from has in is it its of on or that the there this to was with"
STOP_WORDS = frozenset(_SMALL.split())


def key_words(text: str) -> set[str]:
    """The words of a caption that say something."""
    return set(re.findall(r"[^\W_]+", text.lower())) - STOP_WORDS


def key_word_recall(found: Sequence[str], truth: Sequence[str]) -> float:
    """The mean share of the truth's key words that a caption has."""
    shares = [
        len(wanted & key_words(text)) / len(wanted)
        for text, said in zip(found, truth, strict=True)
        if (wanted := key_words(said))
    ]
    return sum(shares) / len(shares) if shares else 0.0


def caption_scores(found: Sequence[str], truth: Sequence[str]) -> dict[str, float]:
    """Of one caption and one truth a window. Raises SensoriumError without the library."""
    try:
        from sacrebleu.metrics import BLEU, CHRF
    except ImportError as error:
        raise SensoriumError(
            "captions are scored with sacrebleu: pip install 'sensorium[evaluate]'"
        ) from error
    told, said = list(found), [list(truth)]
    exact = [key_words(a) >= key_words(b) for a, b in zip(found, truth, strict=True)]
    return {
        "key_words": key_word_recall(found, truth),
        "all_key_words": sum(exact) / len(exact),
        "bleu": float(BLEU(effective_order=True).corpus_score(told, said).score),
        "chrf": float(CHRF().corpus_score(told, said).score),
    }
