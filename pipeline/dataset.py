"""Training examples cut from samples by the runtime's own aligner and front ends.

A model is trained on the very windows that it will see.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from engines.bundle import Encoders
from engines.example import Array, Example
from pipeline.aligner import Aligner
from pipeline.config import Config
from pipeline.frontend import FrontEnd, check_sample, front_end, window_rule
from pipeline.sample import LabelledSamples, Sample
from pipeline.stream import MODALITY, kind_of


def examples(
    scenes: Iterable[LabelledSamples], config: Config, encoders: Encoders
) -> Iterator[Example]:
    """What the encoders would be given at the tick of each scene. Raises RefusedError."""
    cut = ExampleCutter(config, encoders)
    for scene in scenes:
        yield from cut(scene)


class ExampleCutter:
    """Makes the examples of one scene after the other.

    An example has one stream of each modality. Of a scene with more there are as many examples as
    the modality with most streams has, so that each stream is in one.
    """

    def __init__(self, config: Config, encoders: Encoders, folder: Path | None = None) -> None:
        """`folder` is that of a tokenizer: the bundle's, or else what the config's plan names."""
        self._config, self.encoders = config, encoders
        self._folder = folder or (config.model.text_folder if config.model else None)
        # Kept: windows that overlap share the work.
        self._front_ends: dict[str, FrontEnd] = {}

    def __call__(self, scene: LabelledSamples) -> Iterator[Example]:
        """The examples of a scene; one without inputs if nothing was there."""
        taken: dict[str, list[tuple[Array, float]]] = {}
        for stream, samples in scene.samples.items():
            found = self.take(stream, samples, scene.tick_ns)
            if found is not None:
                taken.setdefault(MODALITY[kind_of(stream)], []).append(found)
        for n in range(max(map(len, taken.values()), default=1)):
            chosen = {modality: found[n % len(found)] for modality, found in taken.items()}
            yield Example(
                inputs={modality: array for modality, (array, _) in chosen.items()},
                ages_s={modality: age_s for modality, (_, age_s) in chosen.items()},
                targets=scene.labels,
            )

    def take(
        self, stream: str, samples: Sequence[Sample], tick_ns: int
    ) -> tuple[Array, float] | None:
        """The input of an encoder and its age in seconds; None if there is no window or encoder."""
        spec = getattr(self.encoders, MODALITY[kind_of(stream)])
        if spec is None:
            return None
        aligner = Aligner({stream: window_rule(spec, self._config.streams[stream])})
        for sample in samples:
            check_sample(sample, spec)
            aligner.add(sample)
        window = aligner.window(stream, tick_ns)
        if window is None:
            return None
        if stream not in self._front_ends:
            self._front_ends[stream] = front_end(spec, self._folder)
        prepared = self._front_ends[stream](window).copy()
        return prepared, (tick_ns - window[-1].t_end_ns) / 1e9
