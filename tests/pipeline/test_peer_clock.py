"""The peer's clock is known as well as the delays allow, whatever they are."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.bus.peer_clock import MAX_DRIFT_PPM, PeerClock, RoundTrip

MS, S = 1_000_000, 1_000_000_000


@dataclass(frozen=True)
class Peer:
    """A clock that was `offset_ns` behind ours at our time 0 and loses `drift_ppm` against it."""

    offset_ns: int
    drift_ppm: float = 0.0

    def offset_at(self, local_ns: int) -> float:
        return self.offset_ns + local_ns * self.drift_ppm / 1e6

    def time(self, local_ns: int) -> int:
        return round(local_ns - self.offset_at(local_ns))

    def trip(self, asked_ns: int, there_ns: int, back_ns: int, work_ns: int = 1000) -> RoundTrip:
        got_ns = asked_ns + there_ns
        answered_ns = got_ns + work_ns
        return RoundTrip(asked_ns, self.time(got_ns), self.time(answered_ns), answered_ns + back_ns)


def error_ns(clock: PeerClock, peer: Peer, now_ns: int) -> float:
    return abs(clock.offset_ns - peer.offset_at(now_ns))


def trips(
    peer: Peer, n: int, delay: Callable[[], tuple[int, int]], every_ns: int = S
) -> Iterator[RoundTrip]:
    return (peer.trip(i * every_ns, *delay()) for i in range(n))


def test_the_first_round_trip_gives_the_offset_of_ntp() -> None:
    clock = PeerClock()
    assert not clock.known
    clock.add(RoundTrip(asked_ns=1000, got_ns=5300, answered_ns=5400, back_ns=1500))
    assert clock.known
    assert clock.offset_ns == ((1000 - 5300) + (1500 - 5400)) // 2
    assert clock.uncertainty_ns(1500) == (500 - 100) // 2 + 1  # the drift, rounded up


delays = st.integers(0, 300 * MS)


@given(
    st.integers(-(2**62), 2**62),
    st.floats(-MAX_DRIFT_PPM, MAX_DRIFT_PPM),
    st.lists(st.tuples(delays, delays, st.integers(1, 30 * S)), min_size=1, max_size=40),
)
def test_the_truth_lies_within_the_uncertainty(
    offset_ns: int, drift_ppm: float, delayed: list[tuple[int, int, int]]
) -> None:
    peer, clock, now_ns = Peer(offset_ns % (10**15), drift_ppm), PeerClock(), 0
    for there_ns, back_ns, pause_ns in delayed:
        trip = peer.trip(now_ns, there_ns, back_ns)
        clock.add(trip)
        # One ns for the rounding of each simulated time.
        assert error_ns(clock, peer, trip.back_ns) <= clock.uncertainty_ns(trip.back_ns) + 2
        now_ns = trip.back_ns + pause_ns
        assert error_ns(clock, peer, now_ns) <= clock.uncertainty_ns(now_ns) + 2
    assert clock.steps == 0


@pytest.mark.parametrize("one_way_ns", [0, 20 * MS])
def test_jitter_is_filtered_by_the_fastest(one_way_ns: int) -> None:
    rng, peer, clock = random.Random(1), Peer(-1000 * S), PeerClock()

    def jittery() -> tuple[int, int]:
        return one_way_ns + rng.randrange(10 * MS), rng.randrange(10 * MS)

    for trip in trips(peer, 200, jittery, every_ns=S // 10):
        clock.add(trip)
    assert clock.uncertainty_ns(20 * S) < one_way_ns // 2 + 2 * MS
    assert error_ns(clock, peer, 20 * S) <= clock.uncertainty_ns(20 * S)


def test_outliers_change_nothing() -> None:
    peer, clock = Peer(7 * S), PeerClock()
    clock.add(peer.trip(0, MS, MS))
    before_ns = clock.offset_ns
    for i in range(1, 5):
        clock.add(peer.trip(i * MS, 900 * MS, 5 * MS))
    assert abs(clock.offset_ns - before_ns) < MS
    assert clock.uncertainty_ns(905 * MS) < 3 * MS


def test_an_impossible_answer_is_ignored() -> None:
    clock = PeerClock()
    clock.add(RoundTrip(asked_ns=1000, got_ns=0, answered_ns=2000, back_ns=1500))
    clock.add(RoundTrip(asked_ns=1000, got_ns=500, answered_ns=400, back_ns=1500))
    assert not clock.known


@pytest.mark.parametrize("drift_ppm", [-80.0, 0.0, 12.5])
def test_the_drift_is_found(drift_ppm: float) -> None:
    rng, peer, clock = random.Random(2), Peer(3 * S, drift_ppm), PeerClock()

    def jittery() -> tuple[int, int]:
        return MS // 4 + rng.randrange(MS), MS // 4 + rng.randrange(MS)

    for n, trip in enumerate(trips(peer, 300, jittery)):
        clock.add(trip)
        assert (clock.drift_ppb is None) == (n < 47)
    assert clock.drift_ppb == pytest.approx(drift_ppm * 1000, abs=1500)


def test_a_clock_that_jumped_is_known_anew() -> None:
    clock = PeerClock()
    for trip in trips(Peer(5 * S), 20, lambda: (MS, MS)):
        clock.add(trip)
    after = Peer(-400 * S)
    trip = after.trip(21 * S, MS, MS)
    clock.add(trip)
    assert clock.steps == 1
    assert error_ns(clock, after, trip.back_ns) <= clock.uncertainty_ns(trip.back_ns)


def test_uncertainty_grows_until_the_next_answer() -> None:
    clock, peer = PeerClock(), Peer(0)
    clock.add(peer.trip(0, MS, MS))
    assert clock.uncertainty_ns(10 * S) - clock.uncertainty_ns(2 * MS) >= 4 * MS
    clock.forget()
    assert not clock.known
