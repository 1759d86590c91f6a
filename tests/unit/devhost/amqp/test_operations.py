"""Requests on an entity's management node, and decisions on its messages, held against the real broker."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from devhost.amqp.conditions import AmqpError
from devhost.amqp.engine_outgoing import Outcome, OutcomeKind
from devhost.amqp.operations import Reply, Request
from devhost.amqp.requests import MANAGEMENT_OPERATIONS
from devhost.amqp.sessions import HeldSessions
from devhost.amqp.settlement import apply_outcome
from devhost.amqp.values import Array, CodecError, Described, Typed
from devhost.broker.broker import Broker
from devhost.broker.errors import MessageLockLost, SessionLockLost
from devhost.broker.topology import (
    CorrelationFilter,
    FalseFilter,
    QueueOptions,
    SqlFilter,
    SubscriptionOptions,
    TopicOptions,
    Topology,
)
from tests.support.brokers import DEAD, Bench, message, shown, take_one, token

SUBSCRIPTION = "t/subscriptions/s"


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path)
    yield made
    await made.close()


@pytest.fixture
async def broker(bench: Bench) -> Broker:
    topic = TopicOptions("t", subscriptions=(SubscriptionOptions("s"),))
    return await bench.open(Topology((QueueOptions("q"), QueueOptions("sq", requires_session=True)), (topic,)))


async def ask(
    broker: Broker, operation: str, entity: str = "q", held: HeldSessions | None = None, **body: Any
) -> Reply:
    fields = {name.replace("_", "-"): value for name, value in body.items()}
    request = Request(broker, held or HeldSessions(), entity, fields)
    return await MANAGEMENT_OPERATIONS[f"com.microsoft:{operation}"](request)


async def settle(broker: Broker, outcome: Outcome) -> None:
    delivery = await take_one(broker)
    await apply_outcome(broker, "q", token(delivery), outcome, None)


async def test_a_released_message_is_given_back_uncounted(broker: Broker) -> None:
    await broker.send("q", [message("a")])
    await settle(broker, Outcome(OutcomeKind.RELEASED))
    assert (await take_one(broker)).delivery_count == 0


async def test_a_modified_message_is_given_back_counted_with_its_changes(broker: Broker) -> None:
    await broker.send("q", [message("a")])
    await settle(broker, Outcome(OutcomeKind.MODIFIED, details={"why": "later"}))
    delivery = await take_one(broker)
    assert (delivery.delivery_count, delivery.message.properties) == (1, {"why": "later"})


async def test_an_undeliverable_message_is_deferred_with_its_changes(broker: Broker) -> None:
    await broker.send("q", [message("a", properties={"kept": 1})])
    await settle(broker, Outcome(OutcomeKind.MODIFIED, details={"new": 2}, undeliverable_here=True))
    (delivery,) = await shown(broker)
    assert (delivery.state.name, delivery.message.properties) == ("DEFERRED", {"kept": 1, "new": 2})


async def test_a_rejected_message_is_dead_lettered_for_the_reason_given(broker: Broker) -> None:
    await broker.send("q", [message("a")])
    details = {"DeadLetterReason": "why", "DeadLetterErrorDescription": "how", "extra": True}
    await settle(broker, Outcome(OutcomeKind.REJECTED, "com.microsoft:dead-letter", "ignored", details))
    (dead,) = await shown(broker, DEAD)
    assert (dead.dead_letter_reason, dead.dead_letter_description) == ("why", "how")
    assert dead.message.properties == {"extra": True}


async def test_a_rejection_without_a_reason_is_described_by_its_error(broker: Broker) -> None:
    await broker.send("q", [message("a")])
    await settle(broker, Outcome(OutcomeKind.REJECTED, "amqp:internal-error", "it broke"))
    (dead,) = await shown(broker, DEAD)
    assert (dead.dead_letter_reason, dead.dead_letter_description) == (None, "it broke")


async def test_a_change_of_a_type_that_is_not_carried_is_refused_and_the_message_stays_locked(broker: Broker) -> None:
    await broker.send("q", [message("a")])
    delivery = await take_one(broker)
    with pytest.raises(CodecError):
        await apply_outcome(broker, "q", token(delivery), Outcome(OutcomeKind.MODIFIED, details={"bad": [1]}), None)
    await broker.complete("q", token(delivery))


@pytest.mark.parametrize(("status", "left"), [("completed", 0), ("abandoned", 1), ("defered", 1), ("suspended", 0)])
async def test_a_request_settles_every_token_it_names(broker: Broker, status: str, left: int) -> None:
    await broker.send("q", [message("a"), message("b")])
    tokens = [token(await take_one(broker)) for _ in range(2)]
    changes: dict[str, Any] = {} if status == "completed" else {"properties_to_modify": {"n": 1}}
    reply = await ask(broker, "update-disposition", disposition_status=status, lock_tokens=tokens, **changes)
    assert reply.status == 200
    found = await shown(broker)
    assert len(found) == 2 * left
    assert all(delivery.message.properties == {"n": 1} for delivery in found)


async def test_tokens_may_be_written_as_text(broker: Broker) -> None:
    await broker.send("q", [message("a")])
    text = str(token(await take_one(broker)))
    await ask(broker, "update-disposition", disposition_status="completed", lock_tokens=[text])
    assert await shown(broker) == []


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("update-disposition", {"disposition_status": "eaten", "lock_tokens": [UUID(int=1)]}),
        ("update-disposition", {"disposition_status": "completed", "lock_tokens": []}),
        ("update-disposition", {"disposition_status": "completed", "lock_tokens": ["no uuid"]}),
        ("renew-lock", {}),
        ("peek-message", {"from_sequence_number": "one"}),
        ("receive-by-sequence-number", {"sequence_numbers": [True]}),
        ("receive-by-sequence-number", {"sequence_numbers": 5}),
        ("schedule-message", {}),
        ("schedule-message", {"messages": [{"no-message": 1}]}),
        ("schedule-message", {"messages": ["text"]}),
        ("cancel-scheduled-message", {"sequence_numbers": ["1"]}),
        ("set-session-state", {"session_id": 5}),
        ("get-message-sessions", {"skip": "none"}),
        ("add-rule", {"rule_name": "r"}),
        ("add-rule", {"rule_name": "r", "rule_description": {}}),
        ("add-rule", {"rule_name": "r", "rule_description": {"sql-rule-action": {"expression": "SET a = 1"}}}),
        ("remove-rule", {}),
        ("batch-delete-messages", {"message_count": 1, "enqueued_time_utc": "yesterday"}),
    ],
    ids=str,
)
async def test_a_request_that_lacks_what_it_needs_is_an_error_of_the_client(
    broker: Broker, operation: str, body: dict[str, Any]
) -> None:
    with pytest.raises(AmqpError) as refused:
        await ask(broker, operation, SUBSCRIPTION if "rule" in operation else "q", **body)
    assert refused.value.terms.status in (400, 501)


async def test_an_encoded_message_that_is_none_is_not_scheduled(broker: Broker) -> None:
    with pytest.raises(CodecError):
        await ask(broker, "schedule-message", messages=[{"message": b"garbage"}])
    assert await shown(broker) == []


async def test_a_token_that_is_not_known_is_a_lost_lock(broker: Broker) -> None:
    with pytest.raises(MessageLockLost):
        await ask(broker, "renew-lock", lock_tokens=[uuid4()])
    with pytest.raises(MessageLockLost):
        await ask(broker, "update-disposition", disposition_status="completed", lock_tokens=[uuid4()])


async def test_a_session_that_this_connection_does_not_hold_is_lost(broker: Broker) -> None:
    await broker.accept_session("sq", "s")
    for operation in ("renew-session-lock", "get-session-state", "set-session-state"):
        with pytest.raises(SessionLockLost):
            await ask(broker, operation, "sq", session_id="s")


async def test_a_held_session_is_renewed_and_its_state_kept(bench: Bench, broker: Broker) -> None:
    held, lock = HeldSessions(), await broker.accept_session("sq", "s")
    held.hold("sq", lock)
    bench.advance(seconds=20)
    reply = await ask(broker, "renew-session-lock", "sq", held, session_id="s")
    assert reply.body == {"expiration": lock.locked_until + timedelta(seconds=20)}
    await ask(broker, "set-session-state", "sq", held, session_id="s", session_state=b"x")
    assert (await ask(broker, "get-session-state", "sq", held, session_id="s")).body == {"session-state": b"x"}
    held.drop("sq", lock)
    with pytest.raises(SessionLockLost):
        held.find("sq", "s")


async def test_messages_are_peeked_in_bounded_answers(broker: Broker) -> None:
    assert (await ask(broker, "peek-message")).status == 204
    await broker.send("q", [message("x" * 200_000) for _ in range(8)])
    reply = await ask(broker, "peek-message", from_sequence_number=1, message_count=2**31 - 1)
    assert isinstance(reply.body, dict)
    assert 0 < len(reply.body["messages"]) < 8


async def test_messages_are_deleted_oldest_first_up_to_a_time(bench: Bench, broker: Broker) -> None:
    await broker.send("q", [message("old"), message("old")])
    bench.advance(seconds=10)
    limit = bench.clock.now()
    await broker.send("q", [message("new")])
    reply = await ask(broker, "batch-delete-messages", message_count=10, enqueued_time_utc=limit)
    assert reply.body == {"message-count": 2}
    assert (await ask(broker, "batch-delete-messages", message_count=10, enqueued_time_utc=limit)).status == 204
    assert len(await shown(broker)) == 1


async def test_rules_are_added_listed_and_removed(broker: Broker) -> None:
    filters: dict[str, dict[str, Any]] = {
        "correlated": {"correlation-filter": {"label": "l", "properties": {"p": 1}, "to": None}},
        "never": {"false-filter": {}},
        "sql": {"sql-filter": {"expression": "a > 1"}},
    }
    for name, description in filters.items():
        await ask(broker, "add-rule", SUBSCRIPTION, rule_name=name, rule_description=description)
    await ask(broker, "remove-rule", SUBSCRIPTION, rule_name="$Default")
    assert {rule.name: rule.filter for rule in broker.rules(SUBSCRIPTION)} == {
        "correlated": CorrelationFilter(label="l", properties={"p": 1}),
        "never": FalseFilter(),
        "sql": SqlFilter("a > 1"),
    }
    reply = await ask(broker, "enumerate-rules", SUBSCRIPTION, skip=2, top=5)
    action = Described(Typed("ulong", 0x13700000005), [])
    sql = Described(Typed("ulong", 0x1370000006), ["a > 1", Typed("int", 20)])
    described = Described(Typed("ulong", 0x13700000004), [sql, action, "sql"])
    assert reply.body == {"rules": [{"rule-description": described}]}
    assert (await ask(broker, "enumerate-rules", SUBSCRIPTION, skip=3)).status == 204


async def test_sessions_are_listed_in_pages(broker: Broker) -> None:
    await broker.send("sq", [message("x", session_id=name) for name in ("c", "a", "b")])
    reply = await ask(broker, "get-message-sessions", "sq", skip=1, top=1)
    assert reply.body == {"skip": 2, "sessions-ids": Array("string", ["b"])}
    assert (await ask(broker, "get-message-sessions", "sq", skip=3, top=1)).status == 204
