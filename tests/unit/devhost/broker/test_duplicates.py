"""Duplicate detection, alone and in a queue."""

from datetime import timedelta

import pytest

from devhost.broker.duplicates import DuplicateWindow, digest_of
from devhost.broker.topology import QueueOptions, Topology
from tests.support.brokers import Bench, bodies, message, shown, take_one, token

TEN_SECONDS = timedelta(seconds=10)
SECOND = 1_000_000
DETECTING = {"requires_duplicate_detection": True, "duplicate_detection_history_time_window": timedelta(minutes=1)}


def test_an_id_is_new_again_exactly_when_its_window_ends() -> None:
    window = DuplicateWindow(TEN_SECONDS)
    assert window.admit(digest_of("a"), 0) == 1
    window.forget(10 * SECOND - 1)
    assert window.admit(digest_of("a"), 10 * SECOND - 1) is None
    assert window.forget(10 * SECOND) == (1, 1)
    assert window.admit(digest_of("a"), 10 * SECOND) == 2


def test_a_duplicate_does_not_prolong_the_window() -> None:
    window = DuplicateWindow(TEN_SECONDS)
    window.admit(digest_of("a"), 0)
    assert window.admit(digest_of("a"), 9 * SECOND) is None
    assert window.forget(10 * SECOND) == (1, 1)


def test_what_was_seen_before_a_restart_counts_with_its_own_time() -> None:
    window = DuplicateWindow(TEN_SECONDS, [(7, digest_of("a"), 0), (8, digest_of("b"), 5 * SECOND)])
    assert window.forget(10 * SECOND) == (7, 7)
    assert window.admit(digest_of("b"), 10 * SECOND) is None
    assert window.admit(digest_of("c"), 10 * SECOND) == 9


def test_memory_of_ids_ends_with_their_window() -> None:
    window = DuplicateWindow(TEN_SECONDS)
    for second in range(1000):
        window.forget(second * SECOND)
        window.admit(digest_of(str(second)), second * SECOND)
    assert len(window) == 10


async def test_a_duplicate_is_accepted_and_dropped(bench: Bench) -> None:
    broker = await bench.queue(**DETECTING)
    await broker.send("q", [message("one", message_id="a"), message("two", message_id="a")])
    await broker.send("q", [message("three", message_id="a"), message("four", message_id="b")])
    assert bodies(await shown(broker)) == ["one", "four"]


async def test_a_duplicate_of_a_completed_message_is_dropped_too(bench: Bench) -> None:
    broker = await bench.queue(**DETECTING)
    await broker.send("q", [message(message_id="a")])
    await broker.complete("q", token(await take_one(broker)))
    await broker.send("q", [message(message_id="a")])
    assert await shown(broker) == []


async def test_messages_without_an_id_are_never_duplicates(bench: Bench) -> None:
    broker = await bench.queue(**DETECTING)
    await broker.send("q", [message("one"), message("two")])
    assert bodies(await shown(broker)) == ["one", "two"]


async def test_after_the_window_the_id_may_be_used_again(bench: Bench) -> None:
    broker = await bench.queue(**DETECTING)
    await broker.send("q", [message("one", message_id="a")])
    bench.advance(minutes=1)
    await broker.send("q", [message("two", message_id="a")])
    assert bodies(await shown(broker)) == ["one", "two"]


async def test_the_window_survives_a_restart(bench: Bench) -> None:
    broker = await bench.queue(**DETECTING)
    await broker.send("q", [message("one", message_id="a")])
    await broker.close()
    broker = await bench.open()
    await broker.send("q", [message("two", message_id="a")])
    assert bodies(await shown(broker)) == ["one"]


async def test_a_duplicate_spends_no_sequence_number(bench: Bench) -> None:
    broker = await bench.queue(**DETECTING)
    numbers = await broker.schedule("q", [message(message_id=name) for name in ("a", "a", "b")])
    assert numbers == [1, 0, 2]


async def test_a_refused_send_leaves_its_ids_unused(bench: Bench) -> None:
    broker = await bench.queue(**DETECTING)
    with pytest.raises(Exception, match="bytes"):
        await broker.send("q", [message(message_id="a"), message("x" * 300_000, message_id="b")])
    await broker.send("q", [message("again", message_id="a")])
    assert bodies(await shown(broker)) == ["again"]


async def test_detection_switched_on_by_the_topology_starts_without_a_past(bench: Bench) -> None:
    for detects in (True, False, True):
        broker = await bench.open(Topology((QueueOptions("q", requires_duplicate_detection=detects),)))
        await broker.send("q", [message(str(detects), message_id="a")])
        await broker.close()
    broker = await bench.open()
    assert bodies(await shown(broker)) == ["True", "False", "True"]
