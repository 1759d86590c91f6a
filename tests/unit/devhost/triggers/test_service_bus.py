import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from devhost.clock import Clock, ManualClock, SystemClock
from devhost.errors import StartError
from devhost.triggers.service_bus import build_service_bus_triggers
from devhost.triggers.service_bus_receiver import EntityUnavailable, LockLost, ReceiverError
from devhost.triggers.trigger import Trigger
from tests.support.eventually import eventually
from tests.support.fake_invoke import Call, FakeInvoke, trigger_function
from tests.support.fake_receiver import FakeEntity

SETTINGS = {"Bus": "Endpoint=sb://localhost;SharedAccessKeyName=R;SharedAccessKey=k;UseDevelopmentEmulator=true"}


def build(
    entity: FakeEntity,
    invoke: FakeInvoke,
    host_options: Mapping[str, Any] | None = None,
    retry: Mapping[str, Any] | None = None,
    **properties: Any,
) -> Trigger:
    function = trigger_function("f", "serviceBusTrigger", retry, connection="Bus", queueName="q", **properties)
    (trigger,) = build_service_bus_triggers(
        [function], SETTINGS, host_options or {}, invoke, entity.clock, connect=lambda *_: entity
    )
    return trigger


@asynccontextmanager
async def running(entity: FakeEntity, invoke: FakeInvoke, **options: Any) -> AsyncIterator[Trigger]:
    trigger = build(entity, invoke, **options)
    await trigger.start()
    try:
        yield trigger
    finally:
        await trigger.stop()


class Gate:
    """A function that waits until it is let through."""

    def __init__(self) -> None:
        self.open = asyncio.Event()

    async def __call__(self, call: Call) -> None:
        await self.open.wait()


async def fail(call: Call) -> None:
    raise RuntimeError("no")


async def test_a_message_is_completed_when_the_function_returns() -> None:
    entity, invoke = FakeEntity(), FakeInvoke()
    entity.put("hello", application_properties={"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"})
    async with running(entity, invoke):
        await eventually(lambda: entity.completed == [1])
    (call,) = invoke.calls
    assert call.trigger.value == "hello"
    assert call.reason == "message 1 of q, delivery 1"
    assert call.trace_parent == f"00-{'a' * 32}-{'b' * 16}-01"
    assert not entity.abandoned


async def test_a_message_is_abandoned_when_the_function_fails_and_comes_back_at_once() -> None:
    entity, invoke = FakeEntity(max_deliveries=3), FakeInvoke(fail)
    entity.put("bad")
    async with running(entity, invoke):
        await eventually(lambda: entity.dead_lettered == [1])
    assert [call.reason for call in invoke.calls] == [f"message 1 of q, delivery {n}" for n in (1, 2, 3)]
    assert entity.abandoned == [1, 1, 1]
    assert not entity.completed


async def test_a_failure_of_the_host_itself_abandons_the_message_and_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(FakeInvoke):
        async def __call__(self, *args: Any, **options: Any) -> Any:
            if len(self.calls) == 0:
                self.calls.append(Call("", args[1], {}, "", ""))
                raise RuntimeError("the worker is gone")
            return await super().__call__(*args, **options)

    entity, invoke = FakeEntity(), Broken()
    entity.put("x")
    async with running(entity, invoke):
        await eventually(lambda: entity.completed == [1])
    assert entity.abandoned == [1]
    assert "the worker is gone" in caplog.text


async def test_no_more_calls_run_at_once_than_allowed_and_no_more_messages_are_locked() -> None:
    gate = Gate()
    entity, invoke = FakeEntity(), FakeInvoke(gate)
    entity.put(*"abcdefgh")
    async with running(entity, invoke, host_options={"maxConcurrentCalls": 3}):
        await eventually(lambda: invoke.running == 3)
        await asyncio.sleep(0.03)
        assert len(entity.locked) == 3
        gate.open.set()
        await eventually(lambda: len(entity.completed) == 8)
    assert invoke.most_at_once == 3


async def test_a_lock_is_renewed_while_the_function_runs() -> None:
    clock, gate = ManualClock(), Gate()
    entity, invoke = FakeEntity(clock), FakeInvoke(gate)
    entity.put("long")
    async with running(entity, invoke):
        await eventually(lambda: invoke.running == 1)
        for renewals in (1, 2, 3):
            await asyncio.sleep(0.01)
            clock.advance(timedelta(seconds=50))
            await eventually(lambda: entity.renewals == renewals)  # noqa: B023
        gate.open.set()
        await eventually(lambda: entity.completed == [1])


async def test_no_lock_is_renewed_when_renewal_is_off() -> None:
    clock, gate = ManualClock(), Gate()
    entity, invoke = FakeEntity(clock), FakeInvoke(gate)
    entity.put("long")
    async with running(entity, invoke, host_options={"maxAutoLockRenewalDuration": "00:00:00"}):
        await eventually(lambda: invoke.running == 1)
        clock.advance(timedelta(minutes=4))
        gate.open.set()
        await eventually(lambda: entity.completed == [1])
    assert entity.renewals == 0


async def test_a_message_whose_lock_was_lost_in_mid_run_is_not_settled(caplog: pytest.LogCaptureFixture) -> None:
    clock, gate = ManualClock(), Gate()
    entity, invoke = FakeEntity(clock), FakeInvoke(gate)
    entity.put("long")
    async with running(entity, invoke, host_options={"maxConcurrentCalls": 1}):
        await eventually(lambda: invoke.running == 1)
        await asyncio.sleep(0.01)
        entity.lose(1)
        entity.waiting.clear()
        entity.failures["renew"].append(LockLost("gone"))
        clock.advance(timedelta(seconds=50))
        await eventually(lambda: not entity.failures["renew"])
        await asyncio.sleep(0.01)
        gate.open.set()
        await eventually(lambda: "lock was lost while f ran" in caplog.text)
    assert not entity.completed
    assert not entity.abandoned


async def test_a_lock_found_lost_at_the_settlement_is_reported_and_nothing_else_happens(
    caplog: pytest.LogCaptureFixture,
) -> None:
    entity, invoke = FakeEntity(), FakeInvoke()
    entity.failures["complete"].append(LockLost("the lock supplied is invalid"))
    entity.put("a", "b")
    async with running(entity, invoke):
        await eventually(lambda: entity.completed == [2])
    assert "message 1 of q: its lock was lost before the host could complete it" in caplog.text
    assert not entity.abandoned


async def test_a_settlement_that_fails_on_the_way_is_repeated() -> None:
    entity, invoke = FakeEntity(), FakeInvoke()
    entity.failures["complete"].append(ReceiverError("connection reset"))
    entity.put("a")
    async with running(entity, invoke):
        await eventually(lambda: entity.completed == [1])
    assert len(invoke.calls) == 1


async def test_a_lost_connection_is_opened_again_and_nothing_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    entity, invoke = FakeEntity(), FakeInvoke()
    entity.failures["receive"].extend([ReceiverError("connection reset")] * 2)
    entity.put("a")
    async with running(entity, invoke):
        await eventually(lambda: entity.completed == [1])
    assert entity.opened == 3
    assert [message for message in caplog.messages if "receiving" in message] == [
        "not receiving from the namespace at localhost:5672: connection reset (trying again)",
        "receiving again from the namespace at localhost:5672",
    ]


async def test_a_missing_entity_is_reported_once_and_used_as_soon_as_it_is_there(
    caplog: pytest.LogCaptureFixture,
) -> None:
    entity, invoke = FakeEntity(ManualClock()), FakeInvoke()
    assert isinstance(entity.clock, ManualClock)
    entity.failures["open"].extend([EntityUnavailable("the queue q does not exist")] * 5)
    entity.put("a")
    async with running(entity, invoke):
        for _ in range(200):
            entity.clock.advance(timedelta(seconds=1))
            await asyncio.sleep(0)
        await eventually(lambda: entity.completed == [1])
    assert caplog.text.count("does not exist") == 1


async def test_a_stop_waits_for_running_calls_and_settles_them() -> None:
    gate = Gate()
    entity, invoke = FakeEntity(), FakeInvoke(gate)
    entity.put("a", "b", "c")
    trigger = build(entity, invoke, {"maxConcurrentCalls": 2})
    await trigger.start()
    await eventually(lambda: invoke.running == 2)
    stopping = asyncio.create_task(trigger.stop())
    await asyncio.sleep(0.03)
    assert not stopping.done()
    assert entity.closed_receivers == 0
    gate.open.set()
    await stopping
    assert sorted(entity.completed) == [1, 2]
    assert [message.sequence_number for message in entity.waiting] == [3]
    assert entity.closed
    assert entity.closed_receivers == 1


async def test_a_stop_that_is_cut_off_disconnects_at_once() -> None:
    entity, invoke = FakeEntity(), FakeInvoke(Gate())
    entity.put("a")
    trigger = build(entity, invoke)
    await trigger.start()
    await eventually(lambda: invoke.running == 1)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(trigger.stop(), 0.05)
    assert entity.closed
    assert entity.closed_receivers == 1


async def test_a_stop_before_the_first_connection_ends_at_once() -> None:
    entity = FakeEntity(ManualClock())
    entity.failures["open"].extend([ReceiverError("refused")] * 1000)
    async with running(entity, FakeInvoke()):
        await asyncio.sleep(0.01)
    assert entity.closed


async def test_a_batch_is_one_call_and_completes_all_of_it() -> None:
    entity, invoke = FakeEntity(), FakeInvoke()
    entity.put(*"abcde")
    async with running(entity, invoke, host_options={"maxMessageBatchSize": 3}, cardinality="MANY"):
        await eventually(lambda: len(entity.completed) == 5)
    assert [list(call.trigger.value.string) for call in invoke.calls] == [["a", "b", "c"], ["d", "e"]]
    assert invoke.calls[0].reason == "3 messages of q"
    assert invoke.most_at_once == 1


async def test_a_failing_batch_brings_all_of_it_back() -> None:
    entity, invoke = FakeEntity(max_deliveries=2), FakeInvoke(fail)
    entity.put("a", "b")
    async with running(entity, invoke, cardinality="MANY"):
        await eventually(lambda: sorted(entity.dead_lettered) == [1, 2])
    assert not entity.completed


async def test_a_batch_waits_for_its_smallest_size() -> None:
    clock = ManualClock()
    entity, invoke = FakeEntity(clock), FakeInvoke()
    options = {"minMessageBatchSize": 3, "maxMessageBatchSize": 10, "maxBatchWaitTime": "00:00:20"}
    entity.put("a", "b")
    async with running(entity, invoke, host_options=options, cardinality="MANY"):
        await eventually(lambda: len(entity.locked) == 2)
        clock.advance(timedelta(seconds=19))
        await asyncio.sleep(0.03)
        assert not invoke.calls
        entity.put("c")
        await eventually(lambda: len(entity.completed) == 3)
        entity.put("d")
        await eventually(lambda: len(entity.locked) == 1)
        clock.advance(timedelta(seconds=20))
        await eventually(lambda: len(entity.completed) == 4)
    assert [len(call.trigger.value.string) for call in invoke.calls] == [3, 1]


async def test_a_stop_gives_back_what_a_batch_was_still_collecting() -> None:
    entity, invoke = FakeEntity(), FakeInvoke()
    entity.put("a", "b")
    async with running(entity, invoke, host_options={"minMessageBatchSize": 3}, cardinality="MANY"):
        await eventually(lambda: len(entity.locked) == 2)
    assert not invoke.calls
    assert sorted(entity.abandoned) == [1, 2]


async def test_without_automatic_completion_success_leaves_the_lock_to_end(caplog: pytest.LogCaptureFixture) -> None:
    entity, invoke = FakeEntity(), FakeInvoke()
    entity.put("a")
    async with running(entity, invoke, autoCompleteMessages=False):
        await eventually(lambda: len(invoke.calls) == 1)
    assert not entity.completed
    assert not entity.abandoned
    assert "autoCompleteMessages is false" in caplog.text


async def test_without_automatic_completion_failure_still_abandons() -> None:
    entity, invoke = FakeEntity(max_deliveries=1), FakeInvoke(fail)
    entity.put("a")
    async with running(entity, invoke, host_options={"autoCompleteMessages": False}):
        await eventually(lambda: entity.abandoned == [1])


async def test_a_body_that_is_not_text_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    entity, invoke = FakeEntity(), FakeInvoke()
    entity.put("a", "b", body=b"\xff")
    async with running(entity, invoke):
        await eventually(lambda: len(entity.completed) == 2)
    assert caplog.text.count("not UTF-8") == 1


async def test_a_retry_policy_is_reported_as_without_effect(caplog: pytest.LogCaptureFixture) -> None:
    build(FakeEntity(), FakeInvoke(), retry={"max_retry_count": 3, "retry_strategy": "fixed_delay"})
    assert "no effect on a Service Bus trigger" in caplog.text


def test_every_problem_is_named_at_start_and_nothing_is_connected() -> None:
    functions = [
        trigger_function("one", "serviceBusTrigger", connection="Absent", queueName="q"),
        trigger_function("two", "serviceBusTrigger", connection="Bus"),
        trigger_function("web", "httpTrigger"),
    ]

    def refuse(*_: object) -> FakeEntity:
        raise AssertionError("nothing may be connected")

    clock: Clock = SystemClock()
    with pytest.raises(StartError) as refused:
        build_service_bus_triggers(functions, SETTINGS, {}, FakeInvoke(), clock, connect=refuse)
    first, second = str(refused.value).splitlines()
    assert "function 'one'" in first
    assert "Absent" in first
    assert "function 'two'" in second
