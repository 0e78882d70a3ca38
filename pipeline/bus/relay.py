"""Hands one stream to readers on other hosts: one more local reader, publishing over TCP.

The sensor and its local readers do not notice it. Each sample goes out as it is, with its bytes
inline or its picture as JPEG, and with the sensor's own number, epoch and times.

Started by the supervisor with the arguments CONFIG STREAM.
"""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path
from types import TracebackType

import zmq

from pipeline import child
from pipeline.bus import wire
from pipeline.bus.clock_lane import ClockServer
from pipeline.bus.endpoint import clock_endpoint
from pipeline.bus.publisher import Publisher
from pipeline.bus.remote import relay_name
from pipeline.bus.subscriber import Subscriber
from pipeline.bus.tcp import Gate, Listener, Options
from pipeline.child import HealthReporter, Stop
from pipeline.config import Config
from pipeline.error import BusError, WireError
from pipeline.sample import Frame, Health, Sample
from pipeline.stream import Stream

MAX_WAIT_MS = 100
DRAIN_S = 0.4  # for the last words of a sensor that was told to stop before
SEND_BUFFER_BYTES = 256 * 2**10  # the kernel's own would hold seconds of old pictures
LINGER_MS = 500

log = logging.getLogger(__name__)


class Outlet:
    """The TCP side of a relay: a socket for samples and health, and the clock's."""

    def __init__(self, stream: str, line: Stream) -> None:
        remote = line.remote
        assert remote is not None
        self._topic = wire.topic(stream)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._gate = Gate(self._context, remote.allow)
        options: Options = {
            # Of pictures, one on its way and one waiting: who is slow gets no backlog.
            zmq.SNDHWM: 1 if line.policy == "latest" else line.bound,
            zmq.SNDBUF: SEND_BUFFER_BYTES,
            **self._gate.options,
        }
        self.is_read = False
        try:
            self._samples = Listener(self._context, zmq.XPUB, remote.endpoint, options)
            clock = clock_endpoint(remote.endpoint)
            self._clock = ClockServer(self._context, clock, self._gate.options)
        except BusError:
            self.close()
            raise

    def attend(self, bus: Subscriber) -> None:
        """Have the sockets polled along with the bus."""
        for listener in (self._samples, self._clock.listener):
            bus.watch(listener.monitor, listener.update)
        bus.watch(self._samples.socket, self._note_readers)
        bus.watch(self._clock.listener.socket, self._clock.serve)

    def send(self, message: bytes) -> None:
        """Send to whoever reads; a reader that is too slow misses it."""
        self._samples.socket.send(message, copy=False)

    @property
    def n_refused(self) -> int:
        """The attempts to connect that were refused."""
        return self._samples.n_refused + self._clock.listener.n_refused

    def _note_readers(self) -> None:
        while self._samples.socket.poll(0):
            said = self._samples.socket.recv()
            if said[1:] == self._topic:
                self.is_read = said[:1] == b"\x01"

    def close(self) -> None:
        """Give the endpoints back, once the last message has left or LINGER_MS are over."""
        self._gate.close()
        self._context.destroy(linger=LINGER_MS)

    def __enter__(self) -> Outlet:
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self.close()


class Relay:
    """The loop between the stream on this host and its readers on others, and its counters."""

    def __init__(self, config: Config, stream: str, outlet: Outlet, local: Publisher) -> None:
        self._stream, self._outlet, self._local = stream, outlet, local
        line = config.streams[stream]
        self._quality = line.remote.jpeg_quality if line.remote else None
        endpoint = config.endpoint(stream)
        self._bus = Subscriber({stream: (endpoint, line)}, [endpoint])
        outlet.attend(self._bus)
        self._ledger = self._bus.ledgers[stream]
        self._health = HealthReporter(relay_name(stream), self, {})
        self._heard: Health | None = None

    def run(self, stop: Stop) -> None:
        """Relay until told to stop, then until the sensor has said its last."""
        self.report("running")
        while not stop.is_set():
            self.step(MAX_WAIT_MS)
            if self._health.due:
                self.report()
        deadline_ns = time.monotonic_ns() + int(DRAIN_S * 1e9)
        while time.monotonic_ns() < deadline_ns and not self._is_stopped:
            self.step(20)
        self.step(0)
        if self._is_stopped and self._heard:
            self._ledger.close(self._heard.counters["captured"])
        self.report("stopped")
        self._bus.close()

    def step(self, timeout_ms: float) -> None:
        """Wait for something to come and pass it on."""
        for sample in self._bus.receive(timeout_ms):
            if self._outlet.is_read:
                self._pass_on(sample)
            else:
                self._ledger.refuse("unread")
        health = self._bus.health.get(self._stream)
        if health is not None and health is not self._heard:
            self._heard = health
            self._outlet.send(wire.encode(health, wire.stamp_of(health)))

    def report(self, state: str = "") -> None:
        """Report the health of this relay, here and to its readers."""
        self._health.counters = {**self._ledger.counters(), "refused_peers": self._outlet.n_refused}
        self._health.report(state)

    def send(self, sample: Health) -> None:
        """Send the health of this relay both ways."""
        self._local.send(sample)
        self._outlet.send(wire.encode(sample, wire.stamp_of(sample)))

    @property
    def _is_stopped(self) -> bool:
        return self._heard is not None and self._heard.state == "stopped"

    def _pass_on(self, sample: Sample) -> None:
        stamp = wire.stamp_of(sample, self._bus.epoch(self._stream))
        try:
            if self._quality and isinstance(sample, Frame):
                data = wire.encode_jpeg(sample, stamp, self._quality)
            else:
                data = wire.encode(sample, stamp)
        except WireError as error:
            self._bus.refuse(self._stream, "malformed", str(error))
            return
        if isinstance(sample, Frame) and not sample.intact():
            self._bus.refuse(self._stream, "overwritten", "the relay was too slow for its ring")
        else:
            self._outlet.send(data)


def serve(config: Config, stream: str, stop: Stop) -> None:
    """Run one relay until told to stop. Raises BusError and ConfigError."""
    line = config.streams[stream]
    with Publisher(config.relay_endpoint(stream)) as local, Outlet(stream, line) as outlet:
        Relay(config, stream, outlet, local).run(stop)


def main() -> int:
    """The entry of the process."""
    path, stream = Path(sys.argv[1]), sys.argv[2]
    name = relay_name(stream)
    return child.run(name, lambda stop: serve(child.read_config(path), stream, stop))


if __name__ == "__main__":
    sys.exit(main())
