"""What an encoder is given depends on the window alone, not on those before it."""

from __future__ import annotations

import itertools

import msgspec
import numpy as np
import pytest

from engines.compiled import input_spec
from engines.example import HOME
from engines.logmel import LogMel
from pipeline.aligner import Aligner
from pipeline.frontend import front_end, window_rule
from pipeline.sample import AudioChunk
from pipeline.stream import Microphone

assert HOME.audio is not None
SPEC = HOME.audio
RULE = window_rule(SPEC, Microphone(source=""))


def chunks(sizes: list[int]) -> list[AudioChunk]:
    rng = np.random.default_rng(1)
    made, at = [], 0
    for seq, size in enumerate(sizes):
        t_ns = at * 1_000_000_000 // SPEC.rate_hz
        at += size
        made.append(
            AudioChunk(
                stream="m",
                seq=seq,
                t_capture_ns=t_ns,
                t_publish_ns=at * 1_000_000_000 // SPEC.rate_hz,
                pcm=rng.integers(-9000, 9000, (size, 1), np.int16),
                rate_hz=SPEC.rate_hz,
            )
        )
    return made


@pytest.mark.parametrize(
    "sizes",
    [[1600] * 30, [512] * 90, [1600, 1601, 700, 3200] * 8, [1600] * 12 + [16_000, 480, 20_000]],
    ids=["100 ms", "32 ms", "uneven", "long"],
)
def test_sound_gives_the_same_bits_whatever_was_heard_before(sizes: list[int]) -> None:
    aligner, incremental, n_windows = Aligner({"m": RULE}), front_end(SPEC), 0
    for chunk in chunks(sizes):
        aligner.add(chunk)
        window = aligner.window("m", chunk.t_publish_ns)
        if window is not None:
            n_windows += 1
            np.testing.assert_array_equal(incremental(window), front_end(SPEC)(window))
    assert n_windows >= 3


def test_windows_that_are_left_out_change_nothing() -> None:
    made, incremental = chunks([1600] * 40), front_end(SPEC)
    for first in itertools.chain(range(9), (12, 13, 25, 3, 4)):
        window = tuple(made[first : first + 10])
        np.testing.assert_array_equal(incremental(window), front_end(SPEC)(window))


def test_sound_for_a_graph_is_that_of_the_frames_of_the_host() -> None:
    """The features of the sound that a graph is given are, to the bit, those of the window."""
    spec = msgspec.structs.replace(SPEC, computed="graph")
    window = tuple(chunks([1600, 1601, 700, 3200, 5000, 4800, 1234]))
    sound = front_end(spec)(window)
    assert sound.shape == input_spec(spec).shape
    whole = LogMel(SPEC)
    whole.push((sound[0, 0, 0, :, None] * 32768.0).astype(np.int16))
    np.testing.assert_array_equal(whole.features(), front_end(SPEC)(window))


def test_mfcc_give_the_same_bits_whatever_was_heard_before() -> None:
    spec = msgspec.structs.replace(SPEC, features="mfcc")
    made, incremental = chunks([1600] * 14), front_end(spec)
    for first in range(4):
        window = tuple(made[first : first + 10])
        found = incremental(window)
        assert found.shape == input_spec(spec).shape
        np.testing.assert_array_equal(found, front_end(spec)(window))
