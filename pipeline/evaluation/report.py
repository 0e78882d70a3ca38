"""What an evaluation found, for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

SHOWN = 12  # classes
# What of the scores of a head stands in its line, and how it is called.
HEADLINES = (
    ("accuracy", "accuracy"),
    ("exact", "all labels right"),
    ("majority", "majority"),
    ("ece", "ECE"),
    ("average_precision", "average precision"),
    ("precision", "precision"),
    ("recall", "recall"),
    ("f1", "F1"),
    ("recall@1", "recall@1"),
    ("recall@5", "recall@5"),
    ("recall@10", "recall@10"),
    ("chance", "chance"),
    ("key_words", "key words"),
    ("all_key_words", "all key words"),
    ("bleu", "BLEU"),
    ("chrf", "chrF"),
    ("mean_error", "mean error"),
    ("error_of_the_mean", "error of the mean"),
    ("explained_variance", "explained variance"),
    ("imagined", "explained of it unseen"),
)


def text(found: Mapping[str, Any]) -> str:
    """The whole report."""
    lines = [
        f"{found['bundle']} ({found['precision']}, {found['backend']}) on {found['windows']}"
        f" {found['what']}",
        f"{found['main']}: {found['score_name']} {_score(found['score'])}"
        f"{_named(', ECE ', found['ece'], 3)}"
        f"{_named(', robust ', found['robust'], 3)}{_named(', stale ', found['stale'], 3)}",
        f"latency {found['latency_ms']['p50']:.2f} ms, p99 {found['latency_ms']['p99']:.2f} ms;"
        f" {found['size_bytes'] / 1e6:.2f} MB",
        "",
        *table(found),
    ]
    for name, scores in found["heads"].items():
        lines += ["", *_head(name, scores)]
    return "\n".join(lines)


def table(found: Mapping[str, Any]) -> Iterator[str]:
    """What each modality is worth, as Markdown: a row a modality."""
    names = list(found["curves"])
    columns = {"it alone": _alone, "without it": _without, "it under noise": _noisy}
    if "replaced" in found:
        columns["noise in its place"] = _replaced
    columns |= {"ms alone": _alone_ms, "MB": _megabytes}
    yield f"all modalities: {_score(found['score'])}"
    yield ""
    yield f"| modality | {' | '.join(columns)} |"
    yield "|---" * (len(columns) + 1) + "|"
    for name in sorted(names):
        cells = (_score(of(found, name, names)) for of in columns.values())
        yield f"| {name} | " + " | ".join(cells) + " |"
    others = {
        key: x for key, x in found["missing"].items() if 1 < key.count("+") + 1 < len(names) - 1
    }
    for pattern, score in others.items():
        yield f"without {pattern.replace('+', ' and ')}: {_score(score)}"


def _alone(found: Mapping[str, Any], name: str, names: Sequence[str]) -> float | None:
    rest = _others(name, names)
    return _value(found["missing"].get(rest) if rest else found["score"])


def _alone_ms(found: Mapping[str, Any], name: str, names: Sequence[str]) -> float | None:
    rest = _others(name, names)
    return _value(found["missing_ms"].get(rest) if rest else found["latency_ms"]["p50"])


def _others(name: str, names: Sequence[str]) -> str:
    """The pattern in which all but one are missing."""
    return "+".join(other for other in names if other != name)


def _megabytes(found: Mapping[str, Any], name: str, names: Sequence[str]) -> float | None:
    return float(found["encoder_bytes"][name]) / 1e6


def _without(found: Mapping[str, Any], name: str, names: Sequence[str]) -> float | None:
    return _value(found["missing"].get(name))


def _noisy(found: Mapping[str, Any], name: str, names: Sequence[str]) -> float | None:
    return _value(found["noisy"].get(name))


def _replaced(found: Mapping[str, Any], name: str, names: Sequence[str]) -> float | None:
    return _value(found["replaced"].get(name))


def _head(name: str, scores: Mapping[str, Any]) -> Iterator[str]:
    if not scores.get("windows"):
        yield f"{name}: nothing to judge it by"
        return
    parts = [f"{label} {_score(scores[key])}" for key, label in HEADLINES if key in scores]
    unit = f" {scores['unit']}" if scores.get("unit") else ""
    yield f"{name}: {scores['windows']} windows, {', '.join(parts)}{unit}"
    if macro := scores.get("macro"):
        yield "  mean over classes: " + ", ".join(f"{k} {v:.3f}" for k, v in macro.items())
    for label, of in list(scores.get("classes", {}).items())[:SHOWN]:
        numbers = ", ".join(f"{key} {of[key]:.3f}" for key in ("precision", "recall", "f1"))
        yield f"  {label}: {numbers}, {of['windows']} windows"
    for pair, of in scores.get("pairs", {}).items():
        yield f"  {pair}: " + ", ".join(f"{key} {value:.3g}" for key, value in of.items())
    for said, wanted in scores.get("shown", []):
        yield f"  {said!r} for {wanted!r}"


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _named(name: str, value: float | None, digits: int) -> str:
    return "" if value is None else f"{name}{value:.{digits}f}"


def _value(found: Any) -> float | None:
    return None if found is None else float(found)
