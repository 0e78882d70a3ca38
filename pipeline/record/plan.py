"""What is recorded, and in which form: from the stream table, checked before a run is started."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping

import msgspec

from engines.bundle import find_bundle, read_manifest, sha256
from pipeline.config import Config
from pipeline.error import ConfigError
from pipeline.event.event import event_stream
from pipeline.governor.level import GOVERNOR
from pipeline.log.form import LogHeader
from pipeline.record.clock import ClockPair
from pipeline.record.name import SegmentNames, check_folder
from pipeline.sample import health_stream, tokens_stream
from pipeline.stream import Form, Stream, Text

RECORDER = "recorder"  # the process
PREDICTIONS = "predictions"  # as --streams names them
QUEUE = 64  # messages that may wait at least; a picture waits in its ring, not in the message
PREDICTION_QUEUE = 1024
NODE_HEALTH = health_stream("node")


def chosen_forms(config: Config, streams: Collection[str] = ()) -> dict[str, Form]:
    """{stream: form} of what is recorded besides the predictions: all, or those of `streams`.

    Raises ConfigError where that is nothing, unless `streams` asks for the predictions alone.
    """
    for stream in streams:
        if stream != PREDICTIONS and stream not in config.streams:
            near = difflib.get_close_matches(stream, config.streams, n=1, cutoff=0.0)
            raise ConfigError(f"--streams: no stream `{stream}`; did you mean `{near[0]}`?")
        if stream != PREDICTIONS and config.streams[stream].record == "none":
            raise ConfigError(f"--streams: {stream} {_advice(stream)}")
    lines = config.streams.items()
    forms: dict[str, Form] = {s: line.record for s, line in lines if line.record != "none"}
    if streams:
        return {stream: form for stream, form in forms.items() if stream in streams}
    if not forms:
        raise ConfigError(f"nothing to record: every stream {_advice(next(iter(config.streams)))}")
    return forms


def _advice(stream: str) -> str:
    return f'has record = "none"; set, say, {stream.replace("/", ".")}.record = "lossless"'


def prediction_topic(config: Config) -> str:
    """The topic of the node's predictions."""
    return f"prediction/{config.name}"


def table_of(config: Config, forms: Mapping[str, Form]) -> dict[str, tuple[str, Stream]]:
    """{topic: (endpoint, line)} to subscribe to; a recorder wants all, not the newest."""
    predictions = config.predictions_endpoint
    wanted: Stream = Text(source="", bound=PREDICTION_QUEUE)
    table = dict.fromkeys((prediction_topic(config), NODE_HEALTH), (predictions, wanted))
    governed = [GOVERNOR] if config.fusion.governor else []
    for name in (*(rule.name for rule in config.event), *governed):
        table[event_stream(name)] = (predictions, wanted)
    for stream in config.streams:  # of another host's the node tells
        here = stream in config.local_streams
        table[health_stream(stream)] = (config.endpoint(stream) if here else predictions, wanted)
    for stream, form in forms.items():
        line = config.streams[stream]
        if form == "tokens":
            table[tokens_stream(stream)] = (predictions, wanted)
        else:
            queue = msgspec.structs.replace(line, policy="queue", bound=max(line.bound, QUEUE))
            table[stream] = (config.endpoint(stream), queue)
    return table


def header_of(config: Config, pair: ClockPair, origin: str) -> LogHeader:
    """What stands in front of each file. Raises BundleError."""
    return LogHeader(
        monotonic_ns=pair.monotonic_ns,
        wall_ns=pair.wall_ns,
        config=msgspec.json.encode(config).decode(),
        bundle_sha256=sha256(find_bundle(config.fusion.bundle) / "bundle.json"),
        origin=origin,
    )


def check_start(config: Config, pair: ClockPair) -> None:
    """Raise ConfigError where the recording of a run cannot begin; called before its start."""
    check(config)
    if config.record.file:
        SegmentNames(config.record.file, pair.wall_ns).check_free("record.file")


def check(config: Config) -> None:
    """Raise ConfigError where the keys of recording are wrong."""
    if not config.has_recorder:
        return
    chosen_forms(config)
    if config.incident.directory:
        check_folder(config.incident.directory, "incident.directory")
    if not config.incident.labels:
        return
    known = read_manifest(find_bundle(config.fusion.bundle)).labels
    for label in config.incident.labels:
        if label not in known:
            near = difflib.get_close_matches(label, known, n=1, cutoff=0.0) or ["no label at all"]
            raise ConfigError(f"incident.label: no label `{label}`; did you mean `{near[0]}`?")
