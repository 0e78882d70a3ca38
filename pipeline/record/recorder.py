"""The recorder's loop: takes samples off the bus, copies or encodes them, hands them to threads.

It is one more reader of each endpoint, and nobody waits for it: what it cannot take in time is
counted. Its ledgers say captured = recorded + dropped.

Copying slows whoever computes on the next core, so it is done in the pauses of the node: a
prediction has just been made when one arrives. What comes meanwhile waits in queues and rings.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

from msgspec.structs import replace

from pipeline.bus.subscriber import Subscriber
from pipeline.config import Config
from pipeline.log.codec import Encoded, encode
from pipeline.log.form import LogError, LogHeader
from pipeline.prediction import Prediction
from pipeline.record.incident import IncidentRecorder
from pipeline.record.plan import prediction_topic, table_of
from pipeline.record.segment import Segments
from pipeline.record.trigger import Triggers
from pipeline.record.writing import Writing
from pipeline.sample import Frame, Health, Sample, tokens_stream
from pipeline.stream import Form

DRAIN_S = 0.4  # for the last words of sensors that were told to stop before
CLOSE_S = 8.0  # for a slow disk at the end

log = logging.getLogger(__name__)


class Recorder:
    """Records the streams of `forms`, the predictions and the healths of a run.

    Raises LogError where the first file cannot be begun. Later a file that cannot be written
    ends the recording, with its reason in `error`; incidents go on.
    """

    def __init__(self, config: Config, forms: Mapping[str, Form], header: LogHeader) -> None:
        table = table_of(config, forms)
        self._forms = {topic: forms.get(topic, "lossless") for topic in table}
        self._forms |= {tokens_stream(s): form for s, form in forms.items() if form == "tokens"}
        self._offset_ns = header.wall_minus_monotonic_ns
        self._segments = Segments(config.record, header) if config.record.file else None
        self._writing = Writing(self._segments) if self._segments else None
        incidents = bool(config.incident.directory)
        header = replace(header, origin="incident")
        self._incidents = IncidentRecorder(config, header) if incidents else None
        self._triggers = Triggers(config)
        self._topic = prediction_topic(config)
        self._node = Subscriber({self._topic: table.pop(self._topic)}, observer=True)
        self._bus = Subscriber(table, observer=True)
        self._ledgers = {**self._node.ledgers, **self._bus.ledgers}
        self._sensors = list(config.sensors)
        self._healths: dict[str, Health] = {}
        self._n_messages = self._begun_ns = self._ended_ns = 0
        self.error = ""

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to do."""
        return self._writing is None and self._incidents is None

    def trigger(self, why: str) -> None:
        """Begin or extend an incident."""
        if self._incidents:
            self._incidents.trigger(why, time.monotonic_ns())

    def step(self, timeout_ms: float) -> None:
        """Wait for a prediction, but not for long, and record what has come."""
        predictions = list(self._node.receive(timeout_ms))
        for sample in self._bus.receive(0):
            self._take(sample)
        for prediction in predictions:
            self._take(prediction)
        now_ns = time.monotonic_ns()
        if self._incidents:
            for why in self._triggers.watched(self._healths, now_ns):
                self._incidents.trigger(why, now_ns)
            self._incidents.step(now_ns)
        if self._writing and self._writing.error:
            self._give_up(self._writing)

    def finish(self) -> None:
        """Take what is on its way, close the books, and make all files whole."""
        self._drain()
        self._close()

    def _drain(self) -> None:
        """Until each sensor has said its last, but not for long: a run may go on without us."""
        deadline_ns = time.monotonic_ns() + int(DRAIN_S * 1e9)
        while time.monotonic_ns() < deadline_ns and not self._all_stopped():
            self.step(20)
        self.step(0)
        for stream, ledger in self._ledgers.items():
            health = self._healths.get(stream)
            if health is not None and health.state == "stopped":
                ledger.close(health.counters.get("captured", 0))

    def _close(self) -> None:
        """Write what is queued, and the ledger behind it."""
        if self._writing:
            self._writing.finish({"ledger": _as_strings(self._ledger_counters())})
            if not self._writing.join(CLOSE_S):
                self.error = f"the disk was too slow: the rest was not written in {CLOSE_S:g} s"
            elif self._writing.error:
                self._give_up(self._writing)
        if self._incidents:
            self._incidents.close(CLOSE_S)
        self._node.close()
        self._bus.close()

    def counters(self) -> dict[str, int]:
        """What has been recorded and dropped so far."""
        counters = {
            "messages": self._n_messages,
            "span_ms": (self._ended_ns - self._begun_ns) // 1_000_000,
        }
        if self._segments:
            counters["bytes"] = self._segments.size_bytes
            counters["files"] = self._segments.n_files
        if self._incidents:
            counters["incidents"] = self._incidents.n_files
            counters["memory_dropped"] = self._incidents.n_dropped
        return counters | self._ledger_counters()

    @property
    def last_error(self) -> str:
        """The newest error, of the recording or of an incident."""
        return self.error or (self._incidents.last_error if self._incidents else "")

    def _take(self, sample: Sample) -> None:
        try:
            made = encode(sample, self._forms[sample.stream], self._offset_ns)
        except LogError as error:
            self._refuse(sample, "malformed", str(error))
            return
        message = replace(made, parts=(b"".join(made.parts),))
        if isinstance(sample, Frame) and not sample.intact():
            self._refuse(sample, "overwritten", "the recorder was too slow for its ring")
            return
        if reason := self._keep(message):
            self._refuse(sample, reason, self.error or "the disk is too slow")
        if isinstance(sample, Health):
            self._healths[sample.process] = sample
        elif self._incidents and isinstance(sample, Prediction):
            for why in self._triggers.predicted(sample):
                self._incidents.trigger(why, time.monotonic_ns())

    def _refuse(self, sample: Sample, reason: str, why: str) -> None:
        bus = self._node if sample.stream == self._topic else self._bus
        bus.refuse(sample.stream, reason, why)

    def _keep(self, message: Encoded) -> str:
        """Hand a message on; returns why the recording cannot take it, if so."""
        if self._incidents:
            self._incidents.add(message, time.monotonic_ns())
        if self.error:
            return "disk_failed"
        if self._writing and not self._writing.put(message):
            return "disk_slow"
        self._n_messages += 1
        self._begun_ns = min(self._begun_ns or message.t_publish_ns, message.t_publish_ns)
        self._ended_ns = max(self._ended_ns, message.t_publish_ns)
        return ""

    def _give_up(self, writing: Writing) -> None:
        """Nothing more is written: a disk that is full does not get emptier by trying."""
        assert self._segments is not None
        self.error, self._writing = writing.error, None
        for stream in (writing.lost + self._segments.lost()).elements():
            self._ledgers[stream].refuse("disk_failed")
        log.error("%s; the recording ends here", self.error)

    def _ledger_counters(self) -> dict[str, int]:
        return {
            f"{stream}.{name.replace('delivered', 'recorded')}": n
            for stream, ledger in self._ledgers.items()
            for name, n in ledger.counters().items()
        }

    def _all_stopped(self) -> bool:
        healths = self._healths
        return all(s in healths and healths[s].state == "stopped" for s in self._sensors)


def _as_strings(counters: Mapping[str, int]) -> dict[str, str]:
    return {name: str(n) for name, n in counters.items()}
