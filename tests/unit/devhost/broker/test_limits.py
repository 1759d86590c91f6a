"""What is refused before anything happens, each named with its entity."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from devhost.broker.errors import ArgumentError, InvalidOperation, MessageTooLarge, QuotaExceeded
from devhost.broker.limits import check_queue, check_subscription, check_topic
from devhost.broker.model import Message
from devhost.broker.topology import QueueOptions, SubscriptionOptions, TopicOptions, Topology
from tests.support.brokers import Bench, message, shown, take_one, token


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"lock_duration": timedelta(seconds=4)}, "lockDuration"),
        ({"lock_duration": timedelta(minutes=5, seconds=1)}, "lockDuration"),
        ({"max_delivery_count": 0}, "maxDeliveryCount"),
        ({"max_delivery_count": 2001}, "maxDeliveryCount"),
        ({"default_message_time_to_live": timedelta(0)}, "defaultMessageTimeToLive"),
        ({"duplicate_detection_history_time_window": timedelta(seconds=19)}, "duplicateDetectionHistoryTimeWindow"),
        ({"duplicate_detection_history_time_window": timedelta(days=8)}, "duplicateDetectionHistoryTimeWindow"),
        ({"max_message_size_in_kilobytes": 0}, "maxMessageSizeInKilobytes"),
        ({"max_size_in_megabytes": 0}, "maxSizeInMegabytes"),
    ],
)
def test_options_out_of_the_services_range_are_refused_by_name(options: dict[str, Any], named: str) -> None:
    with pytest.raises(ArgumentError, match=f"^q: {named} is .*; it must be from "):
        check_queue(QueueOptions("q", **options))


@pytest.mark.parametrize("name", ["", "/q", "q/", "a b", "q?", "x" * 261, "a/subscriptions/b", "ü"])
def test_an_entity_needs_a_name_the_service_takes(name: str) -> None:
    with pytest.raises(ArgumentError, match="260 letters"):
        check_queue(QueueOptions(name))
    with pytest.raises(ArgumentError, match="260 letters"):
        check_topic(TopicOptions(name))


@pytest.mark.parametrize("name", ["", "a/b", "x" * 51, "$x"])
def test_a_subscription_needs_a_name_the_service_takes(name: str) -> None:
    with pytest.raises(ArgumentError, match="50 letters"):
        check_subscription("t", SubscriptionOptions(name))


def test_names_with_dots_dashes_and_folders_are_taken() -> None:
    check_queue(QueueOptions("Team.A/research-tasks_1"))
    check_subscription("t", SubscriptionOptions("a.b-c_d"))


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"size": 256 * 1024 + 1}, MessageTooLarge, "q takes messages of 256 KB; one has 262145 bytes"),
        ({"size": -1}, ArgumentError, "-1 bytes"),
        ({"message_id": "x" * 129}, ArgumentError, "message_id may have 128 characters, not 129"),
        ({"session_id": "x" * 129}, ArgumentError, "session_id"),
        ({"session_id": "\ud800"}, ArgumentError, "session_id is not valid Unicode"),
        ({"partition_key": "a", "session_id": "b"}, InvalidOperation, "must be the same"),
        ({"time_to_live": timedelta(0)}, ArgumentError, "not positive"),
        ({"scheduled_enqueue_time": datetime(2026, 1, 1)}, ArgumentError, "time zone"),  # noqa: DTZ001
        ({"properties": {"x": object()}}, ArgumentError, "'x' is a object, which is not carried"),
        ({"properties": {1: "x"}}, ArgumentError, "property 1"),
        ({"properties": {"x": "y" * 70_000}}, ArgumentError, "65536 bytes"),
    ],
)
async def test_one_bad_message_refuses_the_whole_batch(
    bench: Bench, fields: dict[str, Any], error: type[Exception], words: str
) -> None:
    broker = await bench.open()
    bad = replace(Message(content=b"", size=1), **fields)
    with pytest.raises(error) as refused:
        await broker.send("q", [message("good"), bad])
    assert words in str(refused.value)
    assert await shown(broker) == []
    await broker.send("q", [message("next")])
    assert (await take_one(broker)).sequence_number == 1


async def test_the_largest_message_is_accepted(bench: Bench) -> None:
    broker = await bench.open()
    await broker.send("q", [message("x" * 256 * 1024)])
    assert (await take_one(broker)).message.size == 256 * 1024


async def test_an_entity_may_allow_larger_messages(bench: Bench) -> None:
    broker = await bench.queue(max_message_size_in_kilobytes=1024)
    await broker.send("q", [message("x" * 1024 * 1024)])
    assert (await take_one(broker)).message.size == 1024 * 1024


async def test_a_full_entity_takes_nothing_more_until_there_is_room(bench: Bench) -> None:
    broker = await bench.queue(max_size_in_megabytes=1)
    for _ in range(4):
        await broker.send("q", [message("x" * 256 * 1024)])
    with pytest.raises(QuotaExceeded, match="q is full: it holds 1 MB at most"):
        await broker.send("q", [message()])
    await broker.complete("q", token(await take_one(broker)))
    await broker.send("q", [message()])


async def test_the_extremes_of_text_and_time_are_carried(bench: Bench) -> None:
    broker = await bench.open()
    odd = message("x", subject="\ud800 \0 \U0001f600", time_to_live=timedelta.max, properties={"\0": "\ud83d"})
    late = message("y", scheduled_enqueue_time=datetime.max.replace(tzinfo=UTC))
    await broker.send("q", [odd, late])
    first, second = await shown(broker)
    assert (first.message.subject, first.message.properties, first.expires_at) == (odd.subject, odd.properties, None)
    assert second.message.scheduled_enqueue_time == late.scheduled_enqueue_time


@pytest.mark.parametrize(("reason", "description"), [("x" * 4097, "fine"), ("fine", "x" * 4097)])
async def test_a_dead_letter_reason_may_not_be_endless(bench: Bench, reason: str, description: str) -> None:
    broker = await bench.open()
    await broker.send("q", [message()])
    taken = await take_one(broker)
    with pytest.raises(ArgumentError, match="4096 characters"):
        await broker.dead_letter("q", token(taken), reason=reason, description=description)
    await broker.complete("q", token(taken))


async def test_asking_for_no_messages_is_refused(bench: Bench) -> None:
    broker = await bench.open()
    with pytest.raises(ArgumentError, match="at least one message"):
        await broker.peek("q", from_sequence_number=0, max_messages=0)


async def test_a_topology_out_of_range_does_not_open(bench: Bench) -> None:
    with pytest.raises(ArgumentError, match="lockDuration"):
        await bench.open(Topology((QueueOptions("q", lock_duration=timedelta(hours=1)),)))
    await bench.open(Topology((QueueOptions("q"),)))
