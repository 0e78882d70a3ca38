"""Under which conditions a bundle is judged: what is missing of a window, and what is spoilt."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from pipeline.evaluation.panel import Answer, Panel, Row, Token
from pipeline.evaluation.spoilt import spoilt
from pipeline.sample import LabelledSamples, Sample
from pipeline.stream import MODALITY, kind_of

DOSES = (0.25, 0.5, 0.75, 1.0, 1.5)
JUDGED = 1.0  # the dose that a bundle is judged by
SHUFFLE_FROM = 50  # windows that another's part is taken from
# One stream's samples in, noise of the same kind at the same times out.
Noise: TypeAlias = Callable[[Sequence[Sample], np.random.Generator], Sequence[Sample]]
Tokens: TypeAlias = Mapping[str, Token]


class Condition(NamedTuple):
    """`modalities` are what is missing, noisy, replaced by noise, or of another window."""

    kind: Literal["all", "missing", "noisy", "replaced", "shuffled"]
    modalities: tuple[str, ...] = ()
    dose: float = 0.0


ALL = Condition("all")


@dataclass(slots=True)
class Findings:
    """The answers of all windows: `rows` {condition: {head: outputs}}, of windows `numbers`.

    `seconds` is what computing each answer took. `targets` are those of the windows, and `small`
    their {modality: small form} where a head rebuilds them.
    """

    targets: list[Mapping[str, tuple[str, ...]]] = field(default_factory=list)
    small: list[dict[str, Row]] = field(default_factory=list)
    rows: dict[Condition, dict[str, list[Row]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    numbers: dict[Condition, list[int]] = field(default_factory=lambda: defaultdict(list))
    seconds: dict[Condition, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, condition: Condition, number: int, answer: Answer) -> None:
        """Note the answer to a window."""
        self.numbers[condition].append(number)
        self.seconds[condition].append(answer.seconds)
        for head, row in answer.rows.items():
            self.rows[condition][head].append(row)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What is tried on windows. Corruption is tried on every `noisy_every`-th, other doses than
    the judged one on every `curve_every`-th. `noise` replaces whole streams."""

    noisy_every: int = 1
    curve_every: int = 1
    shuffles: bool = False
    noise: Noise | None = None


def judge(
    panel: Panel, scenes: Iterable[LabelledSamples], trial: Trial, advance: Callable[[float], None]
) -> Findings:
    """Answer all windows under all conditions. The same windows give the same answers."""
    found = Findings()
    past: deque[tuple[object, Tokens]] = deque(maxlen=SHUFFLE_FROM)
    for number, scene in enumerate(scenes):
        tokens = panel.encode(scene.samples, scene.tick_ns)
        found.targets.append(scene.labels)
        found.small.append(
            {MODALITY[kind_of(s)]: t.small for s, t in tokens.items() if t.small is not None}
        )
        found.add(ALL, number, panel.answer(tokens))
        for condition, left in _missing(panel, tokens):
            found.add(condition, number, panel.answer(left))
        for condition, bad in _spoilt(panel, scene, number, trial):
            found.add(condition, number, panel.answer({**tokens, **bad}))
        if trial.shuffles:
            _shuffle(panel, found, number, tokens, past)
            past.append((scene.labels, tokens))
        advance(number + 1)
    return found


def of_modality(names: Iterable[str], modalities: Sequence[str]) -> list[str]:
    """The streams of these modalities."""
    return [stream for stream in names if MODALITY[kind_of(stream)] in modalities]


def _missing(panel: Panel, tokens: Tokens) -> Iterator[tuple[Condition, Tokens]]:
    """Every pattern in which something is missing and something is left."""
    for n in range(1, len(panel.modalities)):
        for gone in combinations(panel.modalities, n):
            left = {s: x for s, x in tokens.items() if MODALITY[kind_of(s)] not in gone}
            yield Condition("missing", gone), left


def _spoilt(
    panel: Panel, scene: LabelledSamples, number: int, trial: Trial
) -> Iterator[tuple[Condition, Tokens]]:
    """Each modality spoilt, by each dose, and replaced by noise."""
    if number % trial.noisy_every:
        return
    for modality in panel.modalities:
        own = {s: scene.samples.get(s, ()) for s in of_modality(panel.streams, [modality])}
        for dose in DOSES:
            if dose == JUDGED or not number % trial.curve_every:
                bad = {s: spoilt(x, dose, number) for s, x in own.items()}
                yield Condition("noisy", (modality,), dose), panel.encode(bad, scene.tick_ns)
        if trial.noise is not None:
            rng = np.random.default_rng([number, len(modality)])
            replaced = {s: trial.noise(x, rng) for s, x in own.items()}
            yield Condition("replaced", (modality,)), panel.encode(replaced, scene.tick_ns)


def _shuffle(
    panel: Panel,
    found: Findings,
    number: int,
    tokens: Tokens,
    past: Sequence[tuple[object, Tokens]],
) -> None:
    """Answer a window of which one modality is that of an earlier one that says something else."""
    labels, modality = found.targets[-1], panel.modalities[number % len(panel.modalities)]
    streams = of_modality(panel.streams, [modality])
    for said, other in past:
        part = {s: other[s] for s in streams if s in other}
        rest = {s: x for s, x in tokens.items() if s not in streams}
        if said != labels and part and rest:
            found.add(Condition("shuffled"), number, panel.answer({**rest, **part}))
            return
