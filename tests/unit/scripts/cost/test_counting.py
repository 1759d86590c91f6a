"""The counters: each adapter does what it did without them, and what it did is counted once, for whom it was done."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from durabletask.internal import orchestrator_service_pb2 as pb

from devhost.triggers.service_bus_receiver import LockLost, ReceivedMessage
from scripts.cost.adapters import CountedArtifacts, CountedModel, CountedReceiver, CountedReceivers, counted
from scripts.cost.counts import Counts
from scripts.cost.histories import count
from scripts.cost.tally import Tally
from shared.breaker import CircuitBreaker
from shared.contracts import Usage
from shared.errors import ModelAnswerInvalid, ModelUnavailable
from shared.llm.model import ModelRequest
from shared.memory.cosmos import CosmosMemory
from shared.messaging.charges import BusCharges, operations_of
from shared.messaging.servicebus import Namespace, ServiceBus
from shared.state.cosmos_circuits import CosmosCircuits
from shared.state.cosmos_container import CosmosConnection
from tests.support.app_world import USAGE, World, make_world

ASKED = ModelRequest(system="s", user="u", max_output_tokens=10, timeout=timedelta(seconds=1))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with make_world(tmp_path) as made:
        yield made


# -- executions and the model -------------------------------------------------------------------------------------


async def test_model_calls_belong_to_the_execution_that_makes_them_whoever_else_runs_meanwhile(world: World) -> None:
    tally = Tally()
    model = CountedModel(world.model, tally)

    async def execution(name: str, calls: int) -> None:
        with tally.execution(name):
            await asyncio.gather(*(model.complete(ASKED) for _ in range(calls)))
            await asyncio.sleep(0)

    await asyncio.gather(execution("a", 3), execution("b", 1), execution("c", 0))
    taken = tally.take()
    assert {each.function: each.model_calls for each in taken.executions} == {"a": 3, "b": 1, "c": 0}
    assert taken.model.calls == 4
    assert taken.model.input_tokens == 4 * USAGE.input_tokens
    assert taken.model.output_tokens == 4 * USAGE.output_tokens


async def test_an_execution_that_fails_is_counted_like_any_other() -> None:
    tally = Tally()
    with pytest.raises(ZeroDivisionError), tally.execution("broken"):
        _ = 1 / 0
    [executed] = tally.take().executions
    assert executed.function == "broken"


async def test_an_answer_that_was_paid_for_and_cannot_be_used_is_counted_with_its_tokens(world: World) -> None:
    world.replies = [ModelAnswerInvalid("cut off", usage=Usage(input_tokens=7, output_tokens=9))]
    tally = Tally()
    with pytest.raises(ModelAnswerInvalid):
        await CountedModel(world.model, tally).complete(ASKED)
    assert tally.take().model.model_dump() == {"calls": 1, "input_tokens": 7, "output_tokens": 9}


async def test_a_call_that_no_model_answered_is_counted_without_tokens(world: World) -> None:
    world.replies = [ModelUnavailable("away")]
    tally = Tally()
    with pytest.raises(ModelUnavailable):
        await CountedModel(world.model, tally).complete(ASKED)
    assert tally.take().model.model_dump() == {"calls": 1, "input_tokens": 0, "output_tokens": 0}


# -- artifacts ----------------------------------------------------------------------------------------------------


async def test_artifacts_are_counted_however_they_are_stored_and_read(world: World) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"123"
        yield b"45"

    tally = Tally()
    artifacts = CountedArtifacts(world.resources.artifacts, tally)
    kept = await artifacts.put(b"1234567", "text/plain", run="r")
    await artifacts.put_stream(pieces(), "text/plain", run="r")
    await artifacts.put_at(kept.address, b"1234567", "text/plain")
    assert await artifacts.get(kept.address) == b"1234567"
    assert [piece async for piece in artifacts.open(kept.address)] == [b"1234567"]
    assert await artifacts.delete_run("r") == 2
    assert tally.take().artifacts.model_dump() == {"puts": 3, "gets": 2, "bytes": 19}


# -- the bus ------------------------------------------------------------------------------------------------------


class OneMessage:
    """A receiver of one message, whose lock is lost at the call that is named."""

    def __init__(self, body: bytes, *, loses_at: str = "") -> None:
        self.message = ReceivedMessage(body, "token", 1, 1, datetime(2026, 1, 1, tzinfo=UTC))
        self.calls: list[str] = []
        self._loses_at = loses_at
        self.session_id = "s"
        self.session_locked_until = None

    async def open(self) -> None:
        self.calls.append("open")

    async def receive(self, max_messages: int, wait: timedelta) -> Sequence[ReceivedMessage]:
        self.calls.append("receive")
        return [self.message] if self.calls.count("receive") == 1 else []

    async def complete(self, message: ReceivedMessage) -> None:
        self._call("complete")

    async def abandon(self, message: ReceivedMessage) -> None:
        self._call("abandon")

    async def renew(self, message: ReceivedMessage) -> datetime:
        self._call("renew")
        return message.enqueued_time

    async def renew_session(self) -> datetime:
        self._call("renew_session")
        return self.message.enqueued_time

    async def close(self) -> None:
        self.calls.append("close")

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if name == self._loses_at:
            raise LockLost("gone")


async def test_a_receivers_calls_reach_it_and_those_that_are_operations_are_counted() -> None:
    tally, inner = Tally(), OneMessage(b"x" * 65_537)
    receiver = CountedReceiver(inner, tally)
    await receiver.open()
    [message] = await receiver.receive(1, timedelta(0))
    assert tally.unsettled == 1
    assert await receiver.receive(1, timedelta(0)) == []
    await receiver.renew(message)
    await receiver.renew_session()
    await receiver.abandon(message)
    await receiver.complete(message)
    await receiver.close()
    assert inner.calls == ["open", "receive", "receive", "renew", "renew_session", "abandon", "complete", "close"]
    bus = tally.take().bus
    assert (bus.deliveries, bus.delivery_operations, bus.renewed, bus.abandoned, bus.completed) == (1, 2, 2, 1, 1)
    assert (receiver.session_id, receiver.session_locked_until) == ("s", None)


@pytest.mark.parametrize("call", ["complete", "abandon", "renew"])
async def test_what_did_not_succeed_is_not_counted(call: str) -> None:
    tally, inner = Tally(), OneMessage(b"", loses_at=call)
    receiver = CountedReceiver(inner, tally)
    with pytest.raises(LockLost):
        await getattr(receiver, call)(inner.message)
    bus = tally.take().bus
    assert (bus.completed, bus.abandoned, bus.renewed) == (0, 0, 0)


async def test_every_receiver_that_a_factory_makes_is_counted() -> None:
    class Factory:
        def receiver(self) -> Any:
            return OneMessage(b"")

        async def next_session(self, wait: timedelta) -> Any:
            return OneMessage(b"") if wait else None

        async def close(self) -> None:
            pass

    tally = Tally()
    factory = CountedReceivers(Factory(), tally)
    held = await factory.next_session(timedelta(1))
    assert held is not None
    assert await factory.next_session(timedelta(0)) is None
    await held.receive(1, timedelta(0))
    await factory.receiver().receive(1, timedelta(0))
    await factory.close()
    assert tally.take().bus.deliveries == 2


@pytest.mark.parametrize(("size", "operations"), [(0, 1), (1, 1), (65_536, 1), (65_537, 2), (262_144, 4)])
def test_a_call_is_as_many_operations_as_it_has_64_kib(size: int, operations: int) -> None:
    assert operations_of(size) == operations


def test_transfers_are_counted_by_entity_with_what_is_in_them() -> None:
    charges = BusCharges()
    charges.add("a", 3, 100)
    charges.add("a", 1, 70_000)
    charges.add("b", 1, 10)
    assert (charges.transfers, charges.messages, charges.operations) == (
        Counter(a=2, b=1),
        Counter(a=4, b=1),
        Counter(a=3, b=1),
    )


# -- all of it ----------------------------------------------------------------------------------------------------


def _stores(world: World) -> dict[str, Any]:
    """Memory and circuits as in Azure: they connect when they are first used, which is never."""
    nowhere = CosmosConnection("http://127.0.0.1:1/", "muster", "runs", key="bm9uZQ==")
    return {
        "memory": CosmosMemory(nowhere),
        "circuits": CircuitBreaker(CosmosCircuits(nowhere), world.clock),
    }


async def test_the_apps_resources_are_the_same_but_for_being_counted(world: World) -> None:
    bus = ServiceBus(Namespace(connection_string="unused"))
    given, tally = world.but(bus=bus, **_stores(world)), Tally()
    resources = counted(given, tally)
    await resources.store.read_run("nobody's")
    bus.charges.add("queue", 2, 10)
    assert (resources.store, resources.bus, resources.memory) == (given.store, given.bus, given.memory)
    taken = tally.take()
    assert taken.store.requests == {"read": 1}
    assert (taken.bus.transfers, taken.bus.messages, taken.bus.transfer_operations) == (1, 2, 1)


async def test_a_bus_or_a_store_that_counts_nothing_is_refused(world: World) -> None:
    with pytest.raises(TypeError, match="MemoryBus does not count"):
        counted(world.resources, Tally())
    silent = world.but(bus=ServiceBus(Namespace()), **{**_stores(world), "memory": world.memory})
    with pytest.raises(TypeError, match="SqliteMemory does not count"):
        counted(silent, Tally())


def test_what_was_taken_is_not_taken_again() -> None:
    tally = Tally(bus=BusCharges())
    with tally.execution("f"):
        tally.logged(10)
        tally.spanned(20)
        tally.measured(30)
    assert tally.bus is not None
    tally.bus.add("q", 1, 1)
    first = tally.take()
    assert (first.log.bytes, first.telemetry.span_bytes, first.telemetry.point_bytes) == (10, 20, 30)
    assert first.bus.transfers == 1
    assert tally.take() == Counts()


async def test_units_that_a_store_says_it_charged_are_kept_unless_it_says_one_for_everything(world: World) -> None:
    tally = Tally(stores=(world.store,))
    world.store.charges.add("read", None, 1.0)
    assert tally.take().store.charged is None
    world.store.charges.add("read", None, 2.83)
    assert tally.take().store.charged == 2.83


# -- histories and spans ------------------------------------------------------------------------------------------


def test_the_events_of_a_history_are_counted_by_what_they_are_and_lead_to_nested_ones() -> None:
    counts: Counter[str] = Counter()
    nested = pb.SubOrchestrationInstanceCreatedEvent(instanceId="child")
    events = [
        pb.HistoryEvent(orchestratorStarted=pb.OrchestratorStartedEvent()),
        pb.HistoryEvent(executionStarted=pb.ExecutionStartedEvent(name="o")),
        pb.HistoryEvent(taskScheduled=pb.TaskScheduledEvent(name="a")),
        pb.HistoryEvent(taskFailed=pb.TaskFailedEvent()),
        pb.HistoryEvent(subOrchestrationInstanceCreated=nested),
        pb.HistoryEvent(subOrchestrationInstanceFailed=pb.SubOrchestrationInstanceFailedEvent()),
        pb.HistoryEvent(timerCreated=pb.TimerCreatedEvent()),
        pb.HistoryEvent(timerFired=pb.TimerFiredEvent()),
        pb.HistoryEvent(eventRaised=pb.EventRaisedEvent(name="e")),
        pb.HistoryEvent(executionTerminated=pb.ExecutionTerminatedEvent()),
    ]
    assert [found for event in events for found in count(event, counts)] == ["child"]
    counted_kinds = {name: number for name, number in counts.items() if name not in ("events", "bytes")}
    assert counted_kinds == dict.fromkeys(
        (
            "turns",
            "started",
            "tasks",
            "task_results",
            "nested_results",
            "timers_fired",
            "events_raised",
            "interventions",
        ),
        1,
    )
    assert counts["events"] == len(events)
    assert counts["bytes"] == sum(event.ByteSize() for event in events)
