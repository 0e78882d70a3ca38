"""Training sees the windows that the node would."""

from __future__ import annotations

from itertools import count

import numpy as np

from engines.example import HOME
from pipeline.dataset import examples
from pipeline.node import FusionNode
from sensors.simulator import TRAIN, Home, scene_windows
from tests.pipeline.home import config, model

STREAMS = {
    "image": "camera/room",
    "audio": "microphone/room",
    "text": "text/events",
    "readings": "readings/climate",
}


def test_an_example_holds_what_the_node_would_encode() -> None:
    scenes = list(scene_windows(Home(seed=4, ranges=TRAIN), scenes=6, streams=[*STREAMS.values()]))
    for scene, example in zip(scenes, examples(scenes, config(), HOME), strict=True):
        assert example.targets == scene.labels
        node = FusionNode(config(), model(), stopwatch=count().__next__)
        for samples in scene.samples.values():
            for sample in samples:
                node.accept(sample, sample.t_publish_ns)
        prediction = node.tick(scene.tick_ns)
        used = {m for m, stream in STREAMS.items() if stream in prediction.inputs}
        assert set(example.inputs) == used
        for modality in used:
            age_s = prediction.ages_ns[STREAMS[modality]] / 1e9
            assert example.ages_s[modality] == age_s
            spec = model().encoders[modality].inputs[modality]
            found = example.inputs[modality]
            assert (found.dtype, found.shape) == (spec.dtype, spec.shape)


def test_a_silent_microphone_is_in_no_example() -> None:
    streams = [STREAMS["image"], STREAMS["audio"]]
    scene = next(iter(scene_windows(Home(seed=4), scenes=1, streams=streams)))
    short = {**scene.samples, STREAMS["audio"]: scene.samples[STREAMS["audio"]][5:]}
    cut = type(scene)(labels=scene.labels, tick_ns=scene.tick_ns, samples=short)
    (example,) = examples([cut], config(), HOME)
    assert set(example.inputs) == {"image"}
    assert np.asarray(example.inputs["image"]).any()
