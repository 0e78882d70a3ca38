"""`sensorium bench node`: accept and tick alone, against bare engine calls in the same run.

No bus, no other process: made-up samples of virtual 30 Hz go into the node, as fast as it computes.
After each tick the graphs that it ran are run once more by sessions of ONNX Runtime that nothing
wraps, on inputs of the same shapes. And each engine's call is timed beside such a bare call of its
own session, which comes first in every other round.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from engines.bundle import Bundle, load_bundle
from engines.compiled import CompiledBundle
from engines.engine import Engine
from engines.onnxruntime_engine import OnnxRuntimeEngine
from pipeline.config import Config
from pipeline.latency.load import Load, config_of
from pipeline.node import FusionNode
from pipeline.sample import AudioChunk, Frame, Reading, Sample, TextEvent
from pipeline.summary import percentiles

RATE_HZ, CHUNK_HZ = 30.0, 10
SAMPLE_HZ, HEIGHT_PX, WIDTH_PX = 16_000, 480, 640
WARM_UP = 60  # ticks: until the window of sound is full
N_CALLS = 400
BACKEND = "onnxruntime"
RATIO, SLACK_US = 1.02, 5.0  # a call of ours may take so much of a bare one, and so much more
Feeds: TypeAlias = "dict[str, npt.NDArray[Any]]"
Call: TypeAlias = Callable[[], Any]


def bench_node(n_ticks: int, bundle_name: str) -> dict[str, Any]:
    """Measure; returns microseconds. Raises EngineError, BundleError."""
    bundle = load_bundle(bundle_name)
    model = CompiledBundle(bundle, BACKEND)
    load = Load(cameras=1, microphones=1, rate_hz=RATE_HZ, size_px=(WIDTH_PX, HEIGHT_PX))
    config = config_of(load, deadline_ms=1000 / RATE_HZ, bundle=bundle_name)
    roles = [*model.encoders, "fusion"]
    bare = {role: _bare_call(bundle, role, _engine(model, role)) for role in roles}
    return {
        "mode": "node",
        "ticks": n_ticks,
        "bundle": bundle_name,
        **_of_node(config, model, bare, n_ticks),
        "engines": {role: _of_engine(_engine(model, role)) for role in roles},
    }


def _engine(model: CompiledBundle, role: str) -> Engine:
    return model.fusion if role == "fusion" else model.encoders[role]


def _feeds(engine: Engine) -> Feeds:
    return {name: np.ones(spec.shape, spec.dtype) for name, spec in engine.inputs.items()}


def _bare_call(bundle: Bundle, role: str, engine: Engine) -> Call:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        str(bundle.path(role)), options, providers=["CPUExecutionProvider"]
    )
    feeds = _feeds(engine)
    return lambda: session.run(None, feeds)


def _of_engine(engine: Engine) -> dict[str, Any]:
    """Both calls of one session in turn; two sessions would not lie in memory alike."""
    assert isinstance(engine, OnnxRuntimeEngine)
    feeds, session = _feeds(engine), engine._session
    own, bare = partial(engine.run, feeds), partial(session.run, None, feeds)
    own_us, bare_us = np.zeros(N_CALLS), np.zeros(N_CALLS)
    for n in range(-10, N_CALLS):
        pair = [(own, own_us), (bare, bare_us)]
        for call, found_us in pair if n % 2 else reversed(pair):
            found_us[max(n, 0)] = _timed_us(call)
    allowed_us = RATIO * np.median(bare_us) + SLACK_US
    return {
        "own_us": percentiles(own_us),
        "bare_us": percentiles(bare_us),
        "ratio": round(float(np.median(own_us) / np.median(bare_us)), 4),
        "difference_us": round(float(np.median(own_us - bare_us)), 2),
        "within": bool(np.median(own_us) <= allowed_us),
    }


def _timed_us(call: Call) -> float:
    begun_ns = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - begun_ns) / 1000


def _of_node(
    config: Config, model: CompiledBundle, bare: Mapping[str, Call], n_ticks: int
) -> dict[str, Any]:
    """Of each virtual thirtieth of a second: what the node took, and the bare calls alone."""
    node, made = FusionNode(config, model), _Samples(config)
    rows: dict[str, list[float]] = {name: [] for name in ("accept", "tick", "node", "bare")}
    for n in range(WARM_UP + n_ticks):
        now_ns = round((n + 1) * 1e9 / RATE_HZ)
        samples = made.until(n, now_ns)
        accept_us = _timed_us(partial(_accept, node, samples, now_ns))
        tick_us = _timed_us(partial(node.tick, now_ns))
        ran = [*(made.modality(sample) for sample in samples), "fusion"]
        bare_us = sum(_timed_us(bare[role]) for role in ran)
        if n >= WARM_UP:
            row = (accept_us, tick_us, accept_us + tick_us, bare_us)
            for name, us in zip(rows, row, strict=True):
                rows[name].append(us)
    beyond = np.subtract(rows["node"], rows["bare"])
    return {f"{name}_us": percentiles(us) for name, us in rows.items()} | {
        "beyond_us": percentiles(beyond),
        "node_over_bare": round(float(np.median(rows["node"]) / np.median(rows["bare"])), 3),
    }


def _accept(node: FusionNode, samples: Sequence[Sample], now_ns: int) -> None:
    for sample in samples:
        node.accept(sample, now_ns)


class _Samples:
    """The samples of each tick: a picture, every third time sound, once a second the others."""

    def __init__(self, config: Config) -> None:
        self._streams = list(config.streams)
        rng = np.random.default_rng(1)
        self._pixels = rng.integers(0, 256, (HEIGHT_PX, WIDTH_PX, 3), np.uint8)
        self._pcm = rng.integers(-999, 999, (SAMPLE_HZ // CHUNK_HZ, 1)).astype(np.int16)
        self._n = 0

    def modality(self, sample: Sample) -> str:
        """Which encoder it goes to."""
        kinds = {Frame: "image", AudioChunk: "audio", TextEvent: "text", Reading: "readings"}
        return kinds[type(sample)]

    def until(self, n: int, now_ns: int) -> list[Sample]:
        """What has come since the tick before."""
        camera, microphone, text, readings = self._streams
        base: dict[str, Any] = {"seq": n, "t_capture_ns": now_ns, "t_publish_ns": now_ns}
        found: list[Sample] = [Frame(stream=camera, pixels=self._pixels, **base)]
        if n % 3 == 0:
            chunk_ns = 10**9 // CHUNK_HZ
            times = base | {"seq": n // 3, "t_capture_ns": now_ns - chunk_ns}
            found.append(AudioChunk(stream=microphone, pcm=self._pcm, rate_hz=SAMPLE_HZ, **times))
        if n % 30 == 0:
            found.append(TextEvent(stream=text, text="door open", **base))
            values, names = np.array([21.5], np.float32), ("temperature",)
            found.append(
                Reading(stream=readings, values=values, names=names, units=("°C",), **base)
            )
        return found


def text(found: Mapping[str, Any]) -> str:
    """The result for people."""
    rows = [f"{found['ticks']} ticks, microseconds p50 / p95 / p99"]
    named = {
        "accept": found["accept_us"],
        "tick": found["tick_us"],
        "both": found["node_us"],
        "bare engine calls": found["bare_us"],
        "beyond them": found["beyond_us"],
    }
    rows += [
        f"  {name:20} {us['p50']:8.0f} {us['p95']:8.0f} {us['p99']:8.0f}"
        for name, us in named.items()
    ]
    rows.append(f"node / bare engine calls: {found['node_over_bare']}")
    for role, one in found["engines"].items():
        verdict = "within" if one["within"] else "over"
        rows.append(
            f"  {role:10} ours {one['own_us']['p50']:.1f}, bare {one['bare_us']['p50']:.1f} us:"
            f" {one['ratio']} ({one['difference_us']:+.1f} us), {verdict} its bound"
        )
    return "\n".join(rows)
