"""`sensorium bench camera`: what the pipeline adds to the computing, against raw ZeroMQ.

One process sends VGA frames at a paced rate, in turn over the bus and as a plain two-part pyzmq
message over ipc. On the bus they are made in a loan, as cameras do. This process takes them: the
first through the node, with the camera as clock; the second into an array. Both are summed at one
byte in 4096, so that the bytes really came.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zmq

from engines.bundle import load_bundle
from engines.compiled import CompiledBundle
from pipeline.bus.publisher import Publisher
from pipeline.bus.subscriber import Subscriber
from pipeline.config import Config
from pipeline.error import SensoriumError
from pipeline.live import Live
from pipeline.loader import check
from pipeline.node import FusionNode
from pipeline.prediction import STAGES, Prediction
from pipeline.sample import Frame
from pipeline.sink import publish_sink
from pipeline.summary import percentiles

STREAM = "camera/bench"
RATE_HZ = 30.0
HEIGHT_PX, WIDTH_PX = 480, 640
WARM_UP = 30
TIMEOUT_MS = 5000
COMPUTING = ("preprocess", "encode", "fuse")


def bench_camera(n_frames: int) -> dict[str, Any]:
    """Measure; returns microseconds. Raises SensoriumError if frames stop coming."""
    with tempfile.TemporaryDirectory() as folder:
        config = _config(Path(folder))
        sender = [sys.executable, "-m", "pipeline.bench.camera", folder, str(n_frames + WARM_UP)]
        with subprocess.Popen(sender) as process:
            try:
                return _receive(config, Path(folder), n_frames)
            finally:
                process.terminate()


def _config(folder: Path) -> Config:
    camera = {"bench": {"source": "bench", "rate_hz": RATE_HZ}}
    fusion = {"clock": STREAM}
    table = {"name": "bench", "run_dir": str(folder), "camera": camera, "fusion": fusion}
    return check(table, "bench")


def _receive(config: Config, folder: Path, n_frames: int) -> dict[str, Any]:
    own = config.fusion
    model = CompiledBundle(load_bundle(own.bundle), own.backend, own.options)
    predictions: list[Prediction] = []
    raw_us: list[float] = []
    subscriber = Subscriber({STREAM: (config.endpoint(STREAM), config.streams[STREAM])})
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with Publisher(config.predictions_endpoint) as out, context.socket(zmq.SUB) as raw:
        node = FusionNode(config, model)
        live = Live(config, node, subscriber, [predictions.append, publish_sink(out)])
        raw.setsockopt(zmq.SUBSCRIBE, b"")
        raw.connect(_raw_endpoint(folder))
        while not predictions or predictions[-1].inputs[STREAM][-1][0] < n_frames + WARM_UP - 1:
            _receive_bus(live, predictions)
            raw_us.append(_receive_raw(raw))
    context.term()
    subscriber.close()
    return _result(predictions[WARM_UP:], raw_us[WARM_UP:])


def _receive_bus(live: Live, predictions: list[Prediction]) -> None:
    """One frame through the node."""
    n_before, deadline_s = len(predictions), time.monotonic() + TIMEOUT_MS / 1000
    while len(predictions) == n_before:
        live.step()
        if time.monotonic() > deadline_s:
            raise SensoriumError("a frame did not come")


def _receive_raw(socket: zmq.Socket[bytes]) -> float:
    """One frame the plain way: the one-way latency in microseconds."""
    if not socket.poll(TIMEOUT_MS):
        raise SensoriumError("a raw frame did not come")
    stamp, payload = socket.recv_multipart(copy=False)
    pixels = np.frombuffer(payload.buffer, np.uint8).reshape(HEIGHT_PX, WIDTH_PX, 3)
    _touch(pixels)
    return (time.monotonic_ns() - int.from_bytes(stamp.bytes, "little")) / 1000


def _touch(pixels: npt.NDArray[np.uint8]) -> int:
    return int(pixels.reshape(-1)[::4096].sum())


def _result(predictions: list[Prediction], raw_us: list[float]) -> dict[str, Any]:
    stages_us = {
        name: [p.stages_ns[STREAM][index] / 1000 for p in predictions]
        for index, name in enumerate(STAGES)
    }
    compute_us = np.sum([stages_us[name] for name in COMPUTING], axis=0)
    from_publish_us = np.sum([us for name, us in stages_us.items() if name != "publish"], axis=0)
    overhead_us = from_publish_us - compute_us
    return {
        "frames": len(predictions),
        "overhead_us": percentiles(list(overhead_us)),
        "raw_pyzmq_us": percentiles(raw_us),
        "overhead_ratio": round(float(np.median(overhead_us) / np.median(raw_us)), 3),
        "publish_to_emit_us": percentiles(list(from_publish_us)),
        "compute_us": percentiles(list(compute_us)),
        "end_to_end_over_compute": round(
            float(np.median(from_publish_us) / np.median(compute_us)), 3
        ),
        "stages_us": {name: percentiles(us) for name, us in stages_us.items()},
    }


def text(result: Mapping[str, Any]) -> str:
    """The result for people."""
    rows = [f"{result['frames']} VGA frames at {RATE_HZ:g} Hz, microseconds p50 / p95 / p99"]
    named = {key: result[key] for key in result if key.endswith("_us") and key != "stages_us"}
    for name, us in {**named, **result["stages_us"]}.items():
        rows.append(f"  {name:20} {us['p50']:8.0f} {us['p95']:8.0f} {us['p99']:8.0f}")
    rows.append(f"overhead / raw pyzmq: {result['overhead_ratio']}")
    rows.append(f"publish to emit / computing: {result['end_to_end_over_compute']}")
    return "\n".join(rows)


def _raw_endpoint(folder: Path) -> str:
    return f"ipc://{folder}/raw.ipc"


def send(folder: Path, n_frames: int) -> None:
    """The sending process: the same picture in turn over the bus and over plain pyzmq."""
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with Publisher(_config(folder).endpoint(STREAM)) as bus, context.socket(zmq.XPUB) as raw:
        raw.bind(_raw_endpoint(folder))
        bus.wait_for_subscriber(STREAM, TIMEOUT_MS / 1000)
        raw.poll(TIMEOUT_MS)
        half_s = 0.5 / RATE_HZ
        due_s = time.monotonic()
        for _ in range(n_frames):
            # As a camera does: its driver has decoded into the loan before it has a picture.
            lent, memory = bus.loan((HEIGHT_PX, WIDTH_PX, 3))
            np.copyto(lent, pixels)
            due_s += half_s
            time.sleep(max(0.0, due_s - time.monotonic()))
            now_ns = time.monotonic_ns()
            bus.send(
                Frame(
                    stream=STREAM,
                    seq=0,
                    t_capture_ns=now_ns,
                    t_publish_ns=now_ns,
                    pixels=lent,
                    memory=memory,
                )
            )
            due_s += half_s
            time.sleep(max(0.0, due_s - time.monotonic()))
            stamp = time.monotonic_ns().to_bytes(8, "little")
            raw.send_multipart([stamp, pixels.data], copy=False)
            due_s += half_s
            time.sleep(max(0.0, due_s - time.monotonic()))
        raw.poll(TIMEOUT_MS)  # the subscriber's farewell
    context.term()


if __name__ == "__main__":
    send(Path(sys.argv[1]), int(sys.argv[2]))
