"""The stopwatch of a fault, against injections whose signs a test decides."""

from __future__ import annotations

from collections.abc import Collection

from pipeline.chaos.plan import Bounds, Fault
from pipeline.chaos.watch import Watch

SECOND_NS = 1_000_000_000
SHOWN = ["health lost"]


class Told:
    """Shows `SHOWN` in some tenths of a second; is well whenever it shows nothing."""

    def __init__(self, shown: Collection[int]) -> None:
        self._shown, self._tenth, self.calls = set(shown), 0, list[str]()

    def at(self, tenth: int) -> int:
        self._tenth = tenth
        return tenth * SECOND_NS // 10

    def begin(self) -> None:
        self.calls.append(f"begin {self._tenth}")

    def step(self) -> None: ...

    def end(self) -> None:
        self.calls.append(f"end {self._tenth}")

    def signs(self) -> list[str]:
        return SHOWN if self._tenth in self._shown else []

    def is_well(self, since_ns: int) -> bool:
        return True


def watched(shown: Collection[int], *, stream: str = "camera/a", for_s: float = 3.0) -> Watch:
    """A fault that begins after one second, looked at ten times a second for half a minute."""
    injection = Told(shown)
    fault = Fault(kind="kill" if not for_s else "unplug", stream=stream, at_s=1, for_s=for_s)
    watch = Watch(fault, injection, 0, Bounds())
    for tenth in range(300):
        watch.step(injection.at(tenth))
    assert injection.calls == ["begin 10", f"end {10 + round(for_s * 10)}"] or not for_s
    return watch


def test_a_fault_is_timed_from_its_beginning_and_from_its_end() -> None:
    watch = watched(range(15, 52))
    assert (watch.detect_s, watch.recover_s, watch.signal) == (0.5, 1.2, SHOWN[0])
    assert watch.before == []


def test_signs_that_are_gone_with_the_fault_are_recovered_from_at_the_next_look() -> None:
    assert watched(range(15, 40)).recover_s == 0.1


def test_what_nothing_shows_is_neither_noticed_nor_waited_for_long() -> None:
    watch = watched([])
    assert watch.detect_s is None
    assert watch.recover_s == 1.1  # four seconds after its beginning it is left


def test_what_never_ends_is_given_up() -> None:
    watch = watched(range(15, 300))
    assert (watch.detect_s, watch.recover_s, watch.is_over) == (0.5, None, True)


def test_a_sign_that_was_there_before_is_told_and_does_not_count() -> None:
    watch = watched(range(50))
    assert watch.before == SHOWN
    assert watch.detect_s is None


def test_a_killed_node_may_be_started_again_once_its_run_has_ended() -> None:
    watch = watched(range(12, 15), stream="node", for_s=0.0)
    assert (watch.detect_s, watch.recover_s) == (0.2, 0.3)
