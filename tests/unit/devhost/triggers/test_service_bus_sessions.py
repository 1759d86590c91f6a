import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from devhost.clock import ManualClock
from devhost.triggers.service_bus import build_service_bus_triggers
from devhost.triggers.service_bus_receiver import LockLost, ReceiverError
from tests.support.eventually import eventually
from tests.support.fake_invoke import Call, FakeInvoke, trigger_function
from tests.support.fake_receiver import FakeEntity

SETTINGS = {"Bus": "Endpoint=sb://localhost;SharedAccessKeyName=R;SharedAccessKey=k;UseDevelopmentEmulator=true"}


@asynccontextmanager
async def running(
    entity: FakeEntity, invoke: FakeInvoke, host_options: Mapping[str, Any] | None = None, **properties: Any
) -> AsyncIterator[None]:
    function = trigger_function(
        "f", "serviceBusTrigger", connection="Bus", queueName="q", isSessionsEnabled=True, **properties
    )
    (trigger,) = build_service_bus_triggers(
        [function], SETTINGS, host_options or {}, invoke, entity.clock, connect=lambda *_: entity
    )
    await trigger.start()
    try:
        yield
    finally:
        await trigger.stop()


def bodies(invoke: FakeInvoke) -> list[str]:
    return [call.trigger.value for call in invoke.calls]


async def test_the_messages_of_a_session_run_in_order_one_at_a_time() -> None:
    async def pause(_: Call) -> None:
        await asyncio.sleep(0.002)

    entity, invoke = FakeEntity(), FakeInvoke(pause)
    entity.put("a1", "a2", "a3", "a4", session="A")
    async with running(entity, invoke):
        await eventually(lambda: len(entity.completed) == 4)
    assert bodies(invoke) == ["a1", "a2", "a3", "a4"]
    assert invoke.most_at_once == 1
    assert invoke.calls[0].reason == "message 1 of q, session A, delivery 1"


async def test_a_failed_message_comes_back_before_its_successors() -> None:
    async def fail_once(call: Call) -> None:
        if call.trigger.value == "a1" and len(invoke.calls) < 3:
            raise RuntimeError("no")

    entity, invoke = FakeEntity(), FakeInvoke(fail_once)
    entity.put("a1", "a2", session="A")
    async with running(entity, invoke):
        await eventually(lambda: entity.completed == [1, 2])
    assert bodies(invoke) == ["a1", "a1", "a1", "a2"]


async def test_sessions_run_side_by_side_up_to_the_allowed_number() -> None:
    gate = asyncio.Event()

    async def wait(_: Call) -> None:
        await gate.wait()

    clock = ManualClock()
    entity, invoke = FakeEntity(clock), FakeInvoke(wait)
    for session in "ABCD":
        entity.put("x", "y", session=session)
    async with running(entity, invoke, {"maxConcurrentSessions": 3, "sessionIdleTimeout": "00:00:05"}):
        await eventually(lambda: invoke.running == 3)
        await asyncio.sleep(0.03)
        assert entity.held_sessions == {"A", "B", "C"}
        gate.set()
        await eventually(lambda: len(entity.completed) == 6)
        clock.advance(timedelta(seconds=5))
        await eventually(lambda: len(entity.completed) == 8)
    assert invoke.most_at_once == 3


async def test_an_idle_session_is_given_back_after_the_idle_timeout_and_not_before() -> None:
    clock = ManualClock()
    entity, invoke = FakeEntity(clock), FakeInvoke()
    entity.put("a", session="A")
    async with running(entity, invoke, {"sessionIdleTimeout": "00:00:20"}):
        await eventually(lambda: entity.completed == [1])
        clock.advance(timedelta(seconds=19))
        await asyncio.sleep(0.03)
        assert entity.held_sessions == {"A"}
        clock.advance(timedelta(seconds=1))
        await eventually(lambda: not entity.held_sessions)
        entity.put("again", session="A")
        await eventually(lambda: entity.completed == [1, 2])


async def test_the_sessions_lock_is_renewed_while_a_message_runs() -> None:
    clock, gate = ManualClock(), asyncio.Event()

    async def wait(_: Call) -> None:
        await gate.wait()

    entity, invoke = FakeEntity(clock), FakeInvoke(wait)
    entity.put("a", session="A")
    async with running(entity, invoke):
        await eventually(lambda: invoke.running == 1)
        await asyncio.sleep(0.01)
        clock.advance(timedelta(seconds=50))
        await eventually(lambda: entity.renewals == 1)
        gate.set()
        await eventually(lambda: entity.completed == [1])


async def test_a_message_is_not_settled_when_its_sessions_lock_was_lost(caplog: pytest.LogCaptureFixture) -> None:
    clock, gate = ManualClock(), asyncio.Event()

    async def wait(_: Call) -> None:
        await gate.wait()

    entity, invoke = FakeEntity(clock), FakeInvoke(wait)
    entity.put("a", session="A")
    async with running(entity, invoke):
        await eventually(lambda: invoke.running == 1)
        await asyncio.sleep(0.01)
        entity.failures["renew"].append(LockLost("gone"))
        clock.advance(timedelta(seconds=50))
        await eventually(lambda: not entity.failures["renew"])
        await asyncio.sleep(0.01)
        gate.set()
        await eventually(lambda: not entity.held_sessions)
    assert not entity.completed
    assert not entity.abandoned
    assert "lock was lost" in caplog.text


async def test_a_connection_lost_in_a_session_ends_it_and_the_session_is_taken_again() -> None:
    entity, invoke = FakeEntity(), FakeInvoke()
    entity.failures["receive"].append(ReceiverError("connection reset"))
    entity.put("a", session="A")
    async with running(entity, invoke):
        await eventually(lambda: entity.completed == [1])
    assert entity.closed_receivers >= 1


async def test_a_session_may_be_received_in_batches_one_session_at_a_time() -> None:
    clock = ManualClock()
    entity, invoke = FakeEntity(clock), FakeInvoke()
    entity.put("a1", "a2", "a3", session="A")
    entity.put("b1", session="B")
    async with running(
        entity, invoke, {"maxMessageBatchSize": 2, "sessionIdleTimeout": "00:00:05"}, cardinality="many"
    ):
        await eventually(lambda: len(entity.completed) == 3)
        clock.advance(timedelta(seconds=5))
        await eventually(lambda: len(entity.completed) == 4)
    assert [list(call.trigger.value.string) for call in invoke.calls] == [["a1", "a2"], ["a3"], ["b1"]]
    assert invoke.most_at_once == 1


async def test_a_stop_drains_the_message_in_progress_and_leaves_the_rest() -> None:
    gate = asyncio.Event()

    async def wait(_: Call) -> None:
        gate.set()
        await asyncio.sleep(0.03)

    entity, invoke = FakeEntity(), FakeInvoke(wait)
    entity.put("a1", "a2", session="A")
    async with running(entity, invoke):
        await gate.wait()
    assert entity.completed == [1]
    assert not entity.held_sessions
    assert entity.closed
