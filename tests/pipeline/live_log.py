"""A log as a live run leaves it: samples reach the node late, each stream in order."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from engines.compiled import CompiledBundle
from pipeline.config import Config
from pipeline.log.form import LogHeader
from pipeline.log.writer import LogWriter
from pipeline.node import FusionNode
from pipeline.prediction import Prediction
from pipeline.sample import Sample, Tokens
from tests.pipeline.home import TICK_NS, model, recording

START_NS = 7_000_000_000_000  # no clock begins at zero
WALL_NS = 1_790_000_000_000_000_000
DECISION_NS = 3_000_000  # from a tick to its prediction


class Arrival(NamedTuple):
    """A sample, or a tick, and when the node has it."""

    t_ns: int
    n: int
    sample: Sample | None


def published(seed: int, duration_s: float, start_ns: int = START_NS) -> list[Sample]:
    """What the home publishes, each sample some tenths of a millisecond after it was whole."""
    rng = random.Random(seed)
    moved = [
        replace(
            sample,
            t_capture_ns=sample.t_capture_ns + start_ns,
            t_publish_ns=sample.t_publish_ns + start_ns + rng.randrange(200_000, 900_000),
        )
        for sample in recording(seed, duration_s)
    ]
    return sorted(moved, key=lambda sample: (sample.t_publish_ns, sample.stream))


def arrivals(samples: Sequence[Sample], delay_ns: int, seed: int = 0) -> Iterator[Arrival]:
    """Samples in the order in which the node gets them, with the ticks between."""
    rng, last_ns, found = random.Random(seed), dict[str, int](), list[Arrival]()
    for n, sample in enumerate(samples):
        earliest_ns = max(last_ns.get(sample.stream, 0) + 1, sample.t_publish_ns)
        last_ns[sample.stream] = t_ns = earliest_ns + rng.randrange(1, delay_ns)
        found.append(Arrival(t_ns, n, sample))
    first_ns, end_ns = samples[0].t_publish_ns, samples[-1].t_publish_ns
    first_ns += TICK_NS - first_ns % TICK_NS
    found += [Arrival(t_ns, -1, None) for t_ns in range(first_ns, end_ns, TICK_NS)]
    yield from sorted(found, key=lambda arrival: arrival[:2])


def live(
    samples: Sequence[Sample], config: Config, node: FusionNode, delay_ns: int
) -> Iterator[Prediction | Tokens]:
    """What the node of a live run says, with the times at which it is published."""
    for t_ns, _, sample in arrivals(samples, delay_ns):
        if sample is not None:
            node.accept(sample, t_ns)
            continue
        prediction = node.tick(t_ns)
        said_ns = t_ns + DECISION_NS
        for tokens in node.take_tokens():
            yield replace(tokens, t_publish_ns=said_ns - 1)
        yield replace(prediction, t_publish_ns=said_ns, t_emit_ns=said_ns)


def write_log(path: Path, samples: Sequence[Sample], config: Config | None) -> None:
    """A log of the samples in the order of their publication."""
    header = LogHeader(
        monotonic_ns=START_NS,
        wall_ns=WALL_NS,
        config=msgspec.json.encode(config).decode() if config else "",
    )
    with LogWriter(path, header) as log:
        for sample in sorted(samples, key=lambda s: (s.t_publish_ns, s.stream, s.seq)):
            log.write(sample)


def live_log(
    path: Path,
    config: Config,
    *,
    duration_s: float = 6.0,
    delay_ns: int = 20_000_000,
    bundle: CompiledBundle | None = None,
) -> list[Prediction]:
    """Write the log of a live run; the predictions in it. What is recorded `none` is left out."""
    samples = published(5, duration_s)
    node = FusionNode(config, bundle or model())
    said = list(live(samples, config, node, delay_ns))
    kept = [s for s in samples if config.streams[s.stream].record == "lossless"]
    write_log(path, [*kept, *said], config)
    return [sample for sample in said if isinstance(sample, Prediction)]
