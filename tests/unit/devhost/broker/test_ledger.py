"""The index of a queue's messages: order, due times, and what it costs."""

import tracemalloc

import pytest

from devhost.broker.instants import NEVER
from devhost.broker.ledger import Ledger
from devhost.broker.lifecycle import Event, Status


def filled(count: int, *, expires: int = NEVER) -> Ledger:
    ledger = Ledger()
    for number in range(1, count + 1):
        ledger.add(number, Status.WAITING, size=10, due=expires, expires=expires)
    return ledger


def locked_numbers(ledger: Ledger) -> list[int]:
    numbers = []
    while (number := ledger.next_waiting()) is not None:
        ledger.apply(Event.LOCK, number)
        numbers.append(number)
    return numbers


def test_waiting_messages_are_found_in_the_order_of_their_numbers_across_pages() -> None:
    assert locked_numbers(filled(1000)) == list(range(1, 1001))


def test_a_released_message_is_found_before_later_ones() -> None:
    ledger = filled(600)
    for number in range(1, 601):
        ledger.apply(Event.LOCK, number)
    for number in (599, 3, 300):
        ledger.apply(Event.RELEASE, number)
    assert locked_numbers(ledger) == [3, 300, 599]


def test_a_message_put_back_into_a_page_that_was_dropped_is_found_in_its_order() -> None:
    ledger = filled(600)
    for number in range(1, 301):
        ledger.apply(Event.TAKE, number)
    ledger.add(7, Status.WAITING, size=10)
    assert ledger.next_waiting() == 7
    assert list(ledger.present(0))[:2] == [7, 301]


def test_nothing_is_found_in_an_empty_ledger() -> None:
    ledger = filled(3)
    for number in (1, 2, 3):
        ledger.apply(Event.TAKE, number)
    assert ledger.next_waiting() is None
    assert (len(ledger), ledger.size_bytes, ledger.earliest()) == (0, 0, NEVER)
    assert ledger.status(2) is Status.ABSENT


def test_what_is_due_comes_in_order_of_time_and_then_of_number() -> None:
    ledger = Ledger()
    for number, due in ((1, 50), (2, 20), (700, 20), (3, 99)):
        ledger.add(number, Status.SCHEDULED, size=1, due=due)
    assert ledger.earliest() == 20
    assert ledger.due_until(50) == [(20, 2), (20, 700), (50, 1)]
    assert ledger.earliest() == 99


def test_the_earliest_due_time_is_never_later_than_the_truth() -> None:
    ledger = filled(1)
    ledger.apply(Event.LOCK, 1, due=30)
    ledger.extend(1, 60)
    assert ledger.earliest() <= 60
    assert ledger.due_until(59) == []
    assert ledger.earliest() == 60


def test_counts_and_sizes_follow_every_move() -> None:
    ledger = filled(2)
    ledger.apply(Event.LOCK, 1)
    ledger.apply(Event.DEFER, 1)
    assert [ledger.count_of[status] for status in (Status.WAITING, Status.LOCKED, Status.DEFERRED)] == [1, 0, 1]
    assert ledger.size_bytes == 20
    ledger.apply(Event.TAKE, 1)
    assert ledger.size_bytes == 10


def test_numbers_are_listed_from_the_one_asked_for() -> None:
    ledger = filled(300)
    assert list(ledger.present(299)) == [299, 300]
    assert list(ledger.present(-5))[:2] == [1, 2]
    assert list(ledger.present(10**15)) == []


def test_what_cannot_happen_is_refused() -> None:
    ledger = filled(1)
    with pytest.raises(ValueError, match="COMPLETE cannot happen to a message that is WAITING"):
        ledger.apply(Event.COMPLETE, 1)


def test_a_hundred_thousand_waiting_messages_cost_less_than_four_megabytes() -> None:
    tracemalloc.start()
    try:
        ledger = filled(100_000, expires=10**15)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(ledger) == 100_000
    assert held < 4_000_000
