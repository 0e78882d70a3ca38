"""Training examples cut from samples by the runtime's own aligner and front ends.

A model is trained on the very windows that it will see.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from engines.bundle import Encoders
from engines.example import Example
from pipeline.aligner import Aligner
from pipeline.config import MODALITY, Config, kind_of
from pipeline.frontend import front_end, window_rule
from pipeline.sample import LabelledSamples


def examples(
    scenes: Iterable[LabelledSamples], config: Config, encoders: Encoders
) -> Iterator[Example]:
    """One example a scene: what the encoders would be given at its tick, stream by stream."""
    for scene in scenes:
        inputs, ages_s = {}, {}
        for stream, samples in scene.samples.items():
            modality = MODALITY[kind_of(stream)]
            spec = getattr(encoders, modality)
            aligner = Aligner({stream: window_rule(spec, config.streams[stream])})
            for sample in samples:
                aligner.add(sample)
            window = aligner.window(stream, scene.tick_ns)
            if window is not None:
                inputs[modality] = front_end(spec)(window).copy()
                ages_s[modality] = (scene.tick_ns - window[-1].t_end_ns) / 1e9
        yield Example(label=scene.label, inputs=inputs, ages_s=ages_s)
