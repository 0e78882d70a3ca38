"""A stream of another host: its samples, its health and its clock, each over a connection."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

import zmq
from msgspec.structs import replace

from pipeline.bus import wire
from pipeline.bus.clock_lane import ClockClient
from pipeline.bus.endpoint import clock_endpoint
from pipeline.bus.tcp import Connection, Context, Options, Socket, client_keys
from pipeline.sample import Health, Sample, health_stream
from pipeline.stream import Stream

MAX_HEALTH_BYTES = 64 * 2**10
REFUSED = "the other host refuses this one: its relay must `allow` what `sensorium keys` prints"


def relay_name(stream: str) -> str:
    """The process that hands a stream to other hosts."""
    return f"{stream}.relay"


class RemoteLink:
    """The connections to one relay. `options` are those of the samples' socket.

    Samples bear the times of their host; `local` gives them ours, once its clock is known. It is
    forgotten with the connection: who comes back may have been started anew.
    """

    def __init__(self, context: Context, stream: str, line: Stream, options: Options) -> None:
        self.stream, endpoint, keys = stream, line.endpoint, client_keys(line.server_key)
        limit: Options = {zmq.MAXMSGSIZE: wire.MAX_MESSAGE_BYTES}
        topic: Options = {zmq.SUBSCRIBE: wire.topic(stream)}
        self.samples = Connection(context, zmq.SUB, endpoint, {**limit, **options, **keys, **topic})
        limit, topic = {zmq.MAXMSGSIZE: MAX_HEALTH_BYTES}, {zmq.SUBSCRIBE: b"health/"}
        self.health = Connection(context, zmq.SUB, endpoint, {**limit, **keys, **topic})
        self._clock = ClockClient(context, clock_endpoint(endpoint), keys)
        self.speakers = (stream, relay_name(stream))
        self._n_losses, self._was_away = 0, False

    @property
    def handlers(self) -> Iterator[tuple[Socket, Callable[[], None]]]:
        """The sockets to poll besides those of samples and health, and what to call then."""
        for connection in (self.samples, self.health, self._clock.connection):
            yield connection.monitor, self.update
        yield self._clock.connection.socket, self._clock.receive

    def update(self) -> None:
        """Do what is due: look at the connections, ask for the time. Never waits."""
        for connection in (self.samples, self.health, self._clock.connection):
            connection.update()
        if self.samples.n_losses > self._n_losses:
            self._n_losses, self._was_away = self.samples.n_losses, True
            self._clock.forget()
        if self.samples.state == "connected":
            self._clock.ask()

    @property
    def state(self) -> str:
        """Connected, disconnected, refused; or no_clock, while its samples cannot be used."""
        if self.samples.state != "connected":
            return self.samples.state
        return "connected" if self._clock.clock.known else "no_clock"

    def take_gap_reason(self) -> str:
        """Why samples are missing before the one that has come: "" if the policy tells."""
        reason = "disconnected" if self._was_away else ""
        if self.samples.state == "connected":
            self._was_away = False
        return reason

    def local(self, sample: Sample) -> Sample | None:
        """The sample with times of our clock; None while the peer's is unknown."""
        clock = self._clock.clock
        if not clock.known:
            return None
        offset_ns = clock.offset_ns
        return replace(
            sample,
            t_capture_ns=sample.t_capture_ns + offset_ns,
            t_publish_ns=sample.t_publish_ns + offset_ns,
        )

    def counters(self) -> dict[str, int]:
        """What is known of the peer's clock: the offset is ours minus its."""
        clock = self._clock.clock
        if not clock.known:
            return {}
        found = {
            "offset_ns": clock.offset_ns,
            "offset_uncertainty_ns": clock.uncertainty_ns(time.monotonic_ns()),
            "clock_steps": clock.steps,
        }
        drift_ppb = clock.drift_ppb
        return found if drift_ppb is None else {**found, "drift_ppb": drift_ppb}

    def report(self, heard: Mapping[str, Health]) -> Health:
        """What this host says of the stream: the link, and what its sensor and relay said last."""
        now_ns = time.monotonic_ns()
        sensor, relay = (heard.get(name) for name in self.speakers)
        counters = dict(sensor.counters) if sensor else {}
        counters |= {f"relay.{k}": n for k, n in (relay.counters if relay else {}).items()}
        state, last_error = self.state, sensor.last_error if sensor else ""
        if state == "connected" and sensor:
            state = sensor.state
        if state == "refused":
            last_error = REFUSED
        return Health(
            stream=health_stream(self.stream),
            seq=0,
            t_capture_ns=now_ns,
            t_publish_ns=now_ns,
            process=self.stream,
            pid=0,
            state=state,
            counters=counters | self.counters(),
            last_error=last_error,
            faults=sensor.faults if sensor else [],
        )
