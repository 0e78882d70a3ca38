"""captured = delivered + dropped, whatever comes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.bus.ledger import Ledger


def test_a_gap_is_counted_with_the_reason_of_the_policy() -> None:
    ledger = Ledger("superseded")
    for seq in (4, 5, 9):
        assert ledger.arrive(1, seq)
    assert (ledger.captured, ledger.delivered, ledger.dropped) == (6, 3, {"superseded": 3})


def test_a_gap_with_a_reason_of_its_own_is_told_apart() -> None:
    ledger = Ledger("superseded")
    ledger.arrive(1, 0)
    ledger.arrive(1, 5, "disconnected")
    ledger.arrive(1, 6, "disconnected")
    ledger.arrive(1, 8)
    assert ledger.dropped == {"disconnected": 4, "superseded": 1}


def test_a_publisher_that_starts_anew_is_no_gap() -> None:
    ledger = Ledger("queue_full")
    ledger.arrive(1, 100)
    ledger.arrive(2, 3)
    assert (ledger.captured, ledger.delivered) == (2, 2)


def test_a_malformed_message_explains_its_gap() -> None:
    ledger = Ledger("queue_full")
    ledger.arrive(1, 0)
    ledger.lose("malformed")
    ledger.arrive(1, 2)
    assert (ledger.captured, ledger.dropped) == (3, {"malformed": 1})


def test_what_came_before_is_dropped() -> None:
    ledger = Ledger("queue_full")
    assert ledger.arrive(1, 5)
    assert not ledger.arrive(1, 5)
    assert ledger.dropped == {"duplicate": 1}


def test_closing_counts_what_the_publisher_sent_after_our_last() -> None:
    ledger = Ledger("superseded")
    ledger.arrive(1, 7)
    ledger.close(published=10)
    assert (ledger.captured, ledger.dropped) == (3, {"at_stop": 2})


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50), st.booleans())))
def test_the_sum_always_closes(events: list[tuple[int, int, bool]]) -> None:
    ledger = Ledger("superseded")
    for epoch, seq, whole in events:
        if whole:
            ledger.arrive(epoch, seq)
        else:
            ledger.lose("malformed")
    assert ledger.captured == ledger.delivered + sum(ledger.dropped.values())
    assert ledger.delivered >= 0
