"""Triggers over the stock client, in one process with the broker and the listener, so that the broker can be asked."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient

from devhost.amqp.listener import AmqpListener
from devhost.broker.broker import Broker
from devhost.broker.topology import QueueOptions, Topology
from devhost.clock import SystemClock
from devhost.triggers.service_bus import build_service_bus_triggers
from tests.support.eventually import eventually
from tests.support.fake_invoke import Call, FakeInvoke, trigger_function


class Namespace:
    """A broker behind a listener, with the queues `q` and `s` (sessions)."""

    def __init__(self, broker: Broker, port: int) -> None:
        self.broker = broker
        self.connection = (
            f"Endpoint=sb://localhost:{port};SharedAccessKeyName=R;SharedAccessKey=k;UseDevelopmentEmulator=true"
        )

    async def send(self, queue: str, *messages: ServiceBusMessage) -> None:
        async with (
            ServiceBusClient.from_connection_string(self.connection) as client,
            client.get_queue_sender(queue) as sender,
        ):
            for start in range(0, len(messages), 50):
                await sender.send_messages(list(messages[start : start + 50]))

    def waiting(self, queue: str) -> int:
        """How many messages the queue holds, locked ones among them."""
        return self.broker.counts(queue).active

    @asynccontextmanager
    async def trigger(
        self, invoke: FakeInvoke, queue: str, host_options: Mapping[str, Any] | None = None, **properties: Any
    ) -> AsyncIterator[None]:
        """A trigger on `queue` for the time of the block."""
        function = trigger_function("f", "serviceBusTrigger", connection="Bus", queueName=queue, **properties)
        settings = {"Bus": self.connection}
        (trigger,) = build_service_bus_triggers([function], settings, host_options or {}, invoke, SystemClock())
        await trigger.start()
        try:
            yield
        finally:
            await trigger.stop()


@pytest.fixture
async def namespace(tmp_path: Path) -> AsyncIterator[Namespace]:
    clock = SystemClock()
    topology = Topology((QueueOptions("q", max_delivery_count=3), QueueOptions("s", requires_session=True)))
    broker = await Broker.open(tmp_path / "bus.db", topology, clock)
    listener = AmqpListener(broker, clock, port=0)
    await listener.start()
    yield Namespace(broker, listener.port)
    await listener.stop()
    await broker.close()


@pytest.mark.parametrize("prefetch", [0, 20])
async def test_calls_of_every_length_take_each_message_once_though_receives_give_way_to_settlements(
    namespace: Namespace, prefetch: int
) -> None:
    pick = random.Random(7)

    async def work(_: Call) -> None:
        await asyncio.sleep(pick.choice((0, 0, 0.001, 0.004, 0.02, 0.06)))

    invoke = FakeInvoke(work)
    bodies = [f"m-{n}" for n in range(300)]
    async with namespace.trigger(invoke, "q", {"maxConcurrentCalls": 8, "prefetchCount": prefetch}):
        for start in range(0, len(bodies), 60):
            await namespace.send("q", *map(ServiceBusMessage, bodies[start : start + 60]))
        await eventually(lambda: namespace.waiting("q") == 0, within=30)
    assert Counter(call.trigger.value for call in invoke.calls) == Counter(bodies)
    assert {call.reason.rpartition(" ")[2] for call in invoke.calls} == {"1"}
    assert invoke.most_at_once <= 8


async def test_what_was_prefetched_and_never_started_is_given_back_at_a_stop(namespace: Namespace) -> None:
    release = asyncio.Event()

    async def wait(_: Call) -> None:
        await release.wait()

    invoke = FakeInvoke(wait)
    await namespace.send("q", *[ServiceBusMessage(f"m-{n}") for n in range(10)])
    async with namespace.trigger(invoke, "q", {"maxConcurrentCalls": 1, "prefetchCount": 10}):
        await eventually(lambda: namespace.broker.counts("q").locked > 1)
        asyncio.get_running_loop().call_later(0.1, release.set)
    counts = namespace.broker.counts("q")
    assert counts.active == 10 - len(invoke.calls)
    assert counts.locked == 0


async def test_failures_are_counted_by_the_broker_and_end_in_its_dead_letter_queue(namespace: Namespace) -> None:
    async def fail(_: Call) -> None:
        raise RuntimeError("no")

    invoke = FakeInvoke(fail)
    await namespace.send("q", *[ServiceBusMessage(f"m-{n}") for n in range(5)])
    async with namespace.trigger(invoke, "q"):
        await eventually(lambda: namespace.broker.counts("q").dead_letter == 5)
    assert len(invoke.calls) == 15
    assert namespace.waiting("q") == 0


async def test_many_sessions_are_each_in_order_and_none_is_lost(namespace: Namespace) -> None:
    async def work(_: Call) -> None:
        await asyncio.sleep(0.002)

    invoke = FakeInvoke(work)
    sent = [(f"s-{session}", n) for n in range(10) for session in range(6)]
    await namespace.send("s", *[ServiceBusMessage(f"{session}/{n}", session_id=session) for session, n in sent])
    options = {"maxConcurrentSessions": 3, "sessionIdleTimeout": "00:00:00.5"}
    async with namespace.trigger(invoke, "s", options, isSessionsEnabled=True):
        await eventually(lambda: namespace.waiting("s") == 0, within=30)
    got = [call.trigger.value.split("/") for call in invoke.calls]
    for session in {session for session, _ in sent}:
        assert [number for name, number in got if name == session] == [str(n) for n in range(10)]
    assert invoke.most_at_once <= 3


async def test_a_session_function_may_take_batches(namespace: Namespace) -> None:
    invoke = FakeInvoke()
    await namespace.send("s", *[ServiceBusMessage(f"{n}", session_id="A") for n in range(7)])
    options = {"maxMessageBatchSize": 3, "sessionIdleTimeout": "00:00:00.5"}
    async with namespace.trigger(invoke, "s", options, isSessionsEnabled=True, cardinality="MANY"):
        await eventually(lambda: namespace.waiting("s") == 0)
    assert [body for call in invoke.calls for body in call.trigger.value.string] == list("0123456")
    assert max(len(call.trigger.value.string) for call in invoke.calls) <= 3


async def test_a_queue_made_after_the_start_is_found(namespace: Namespace) -> None:
    invoke = FakeInvoke()
    async with namespace.trigger(invoke, "late"):
        await asyncio.sleep(0.3)
        await namespace.broker.create_queue(QueueOptions("late"))
        await namespace.send("late", ServiceBusMessage("x"))
        await eventually(lambda: invoke.calls)
