"""When a process that crashes is started again."""

from __future__ import annotations

from pipeline.restart import RETRY_S, Restarts


def crashes(restarts: Restarts, *moments_s: tuple[float, float]) -> list[float]:
    """The waiting times after crashes at (time, length of life)."""
    return [restarts.crash(at_s, ran_s) for at_s, ran_s in moments_s]


def test_the_fifth_crash_in_a_minute_is_a_failure() -> None:
    restarts = Restarts()
    assert crashes(restarts, (1, 1), (2, 0.5), (4, 1), (7, 1)) == [0.5, 1, 2, 4]
    assert not restarts.failed
    assert crashes(restarts, (12, 1)) == [RETRY_S]
    assert restarts.failed


def test_crashes_that_lie_further_apart_are_none() -> None:
    restarts = Restarts()
    assert crashes(restarts, *((16.0 * n, 15.5) for n in range(1, 20))) == [0.5] * 19
    assert not restarts.failed


def test_crashes_that_come_soon_after_it_settled_are_one() -> None:
    restarts = Restarts()
    waits = crashes(restarts, *((11.5 * n, 11.0) for n in range(1, 6)))
    assert waits == [0.5] * 4 + [RETRY_S]


def test_what_has_failed_is_tried_now_and_then_until_it_has_run_for_a_minute() -> None:
    restarts = Restarts()
    crashes(restarts, *((float(n), 0.5) for n in range(5)))
    assert crashes(restarts, *((40.0 * n, 9.0) for n in range(1, 9))) == [RETRY_S] * 8
    assert crashes(restarts, (500, 100)) == [0.5]
    assert not restarts.failed


def test_a_new_beginning_forgets_all() -> None:
    restarts = Restarts()
    crashes(restarts, *((float(n), 0.5) for n in range(5)))
    restarts.reset()
    assert not restarts.failed
    assert crashes(restarts, (6, 0.5)) == [0.5]
    assert restarts.fail() == RETRY_S
    assert restarts.failed
