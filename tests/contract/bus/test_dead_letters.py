"""What a message bus guarantees of dead letters: looking changes nothing, and none is removed before it was handled."""

import uuid
from collections.abc import Sequence
from typing import Any

import pytest
import pytest_asyncio

from shared.errors import BusUnavailable, NotFound
from shared.messaging.bus import DeadLetter, MessageBus, OutgoingMessage
from tests.contract.bus.conftest import LIT, QUEUE, Bus

pytestmark = pytest.mark.asyncio(loop_scope="module")


def a_message(body: bytes = b"{}", **changes: Any) -> OutgoingMessage:
    return OutgoingMessage(body=body, message_id=uuid.uuid4().hex, **changes)


async def lying(bus: MessageBus, entity: str = QUEUE) -> Sequence[DeadLetter]:
    return await bus.peek_dead(entity)


async def remove(_: DeadLetter) -> bool:
    return True


async def leave(_: DeadLetter) -> bool:
    return False


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def no_dead_letters(bus: Bus) -> None:
    for entity in (QUEUE, LIT):
        await bus.bus.take_dead(entity, [dead.sequence_number for dead in await lying(bus.bus, entity)], remove)


async def test_a_dead_letter_is_seen_with_everything_that_was_sent_and_why_it_died(bus: Bus) -> None:
    sent = a_message(
        "Grüße".encode(),
        correlation_id="run-1",
        traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01",
        properties={"replay-of": "x:1"},
    )
    await bus.kill(QUEUE, sent)
    [dead] = await lying(bus.bus)
    assert (dead.body, dead.message_id, dead.correlation_id) == (sent.body, sent.message_id, "run-1")
    assert (dead.traceparent, dict(dead.properties), dead.content_type) == (
        sent.traceparent,
        {"replay-of": "x:1"},
        sent.content_type,
    )
    assert (dead.reason, dead.entity, dead.id) == ("Tested", QUEUE, f"{QUEUE}:{dead.sequence_number}")


async def test_looking_changes_nothing(bus: Bus) -> None:
    await bus.kill(QUEUE, a_message())
    assert await lying(bus.bus) == await lying(bus.bus)


async def test_they_are_read_page_by_page(bus: Bus) -> None:
    for number in range(5):
        await bus.kill(QUEUE, a_message(b"%d" % number))
    first = await bus.bus.peek_dead(QUEUE, limit=2)
    rest = await bus.bus.peek_dead(QUEUE, after=first[-1].sequence_number)
    assert [dead.body for dead in [*first, *rest]] == [b"0", b"1", b"2", b"3", b"4"]
    assert await bus.bus.peek_dead(QUEUE, after=rest[-1].sequence_number) == []


async def test_a_subscription_has_dead_letters_of_its_own(bus: Bus) -> None:
    await bus.kill(LIT, a_message(b"lit", label="Lit", to="agents"))
    [dead] = await lying(bus.bus, LIT)
    assert (dead.body, dead.label, dead.to) == (b"lit", "Lit", "agents")
    assert await lying(bus.bus) == []
    await bus.bus.take_dead(LIT, [dead.sequence_number], remove)
    assert await lying(bus.bus, LIT) == []


async def test_those_that_were_handled_are_gone_and_the_others_are_still_there(bus: Bus) -> None:
    for number in range(5):
        await bus.kill(QUEUE, a_message(b"%d" % number))
    numbers = [dead.sequence_number for dead in await lying(bus.bus)]
    handled: list[bytes] = []

    async def handle(dead: DeadLetter) -> bool:
        handled.append(dead.body)
        return dead.body != b"3"

    assert await bus.bus.take_dead(QUEUE, [numbers[3], numbers[1]], handle) == frozenset()
    assert handled == [b"1", b"3"]
    assert [dead.body for dead in await lying(bus.bus)] == [b"0", b"2", b"3", b"4"]
    assert await bus.bus.take_dead(QUEUE, numbers, leave) == {numbers[1]}, "all the others can be taken again"


async def test_one_whose_handling_fails_is_still_there(bus: Bus) -> None:
    for number in range(2):
        await bus.kill(QUEUE, a_message(b"%d" % number))
    numbers = [dead.sequence_number for dead in await lying(bus.bus)]

    async def fail(_: DeadLetter) -> bool:
        raise BusUnavailable("the copy could not be sent")

    with pytest.raises(BusUnavailable, match="copy"):
        await bus.bus.take_dead(QUEUE, numbers, fail)
    assert [dead.body for dead in await lying(bus.bus)] == [b"0", b"1"]


async def test_what_is_not_there_is_said_to_be_missing(bus: Bus) -> None:
    assert await bus.bus.take_dead(QUEUE, [987_654_321], remove) == {987_654_321}


@pytest.mark.parametrize("entity", ["ghost-tasks", "happenings/ghost"])
async def test_an_entity_that_does_not_exist_is_not_found_by_name(bus: Bus, entity: str) -> None:
    with pytest.raises(NotFound, match="ghost"):
        await bus.bus.peek_dead(entity)
    with pytest.raises(NotFound, match="ghost"):
        await bus.bus.take_dead(entity, [1], remove)
