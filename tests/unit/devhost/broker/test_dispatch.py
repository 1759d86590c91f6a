"""Those who wait: served in order, woken by time, and taken back whole when they are cancelled."""

import asyncio
from datetime import timedelta

import pytest

from devhost.broker.broker import Broker
from devhost.broker.errors import BrokerClosed, EntityDisabled, EntityNotFound, InvalidOperation
from devhost.broker.model import Delivery, ReceiveMode
from devhost.broker.topology import EntityStatus, QueueOptions, SubscriptionOptions, TopicOptions, Topology
from tests.support.brokers import DEAD, DELETE, LOCK, Bench, bodies, message, shown, take, take_one, token

MODES = pytest.mark.parametrize("mode", [LOCK, DELETE], ids=["locked", "deleted"])


async def turns(count: int = 6) -> None:
    """Let everything that can go on go on."""
    for _ in range(count):
        await asyncio.sleep(0)


def waiting(
    broker: Broker, entity: str = "q", count: int = 1, mode: ReceiveMode = LOCK
) -> asyncio.Task[list[Delivery]]:
    return asyncio.create_task(broker.receive(entity, max_messages=count, mode=mode))


# -- waiting --------------------------------------------------------------------------------------------------------


async def test_a_receiver_waits_for_the_first_message_and_takes_the_batch(bench: Bench) -> None:
    broker = await bench.open()
    receiver = waiting(broker, count=3)
    await turns()
    assert not receiver.done()
    await broker.send("q", [message(name) for name in "abcd"])
    assert bodies(await receiver) == ["a", "b", "c"]


async def test_receivers_are_served_in_the_order_of_their_coming(bench: Bench) -> None:
    broker = await bench.open()
    receivers = []
    for _ in range(50):
        receivers.append(waiting(broker))
        await asyncio.sleep(0)
    for number in range(50):
        await broker.send("q", [message(str(number))])
    assert [bodies(got) for got in await asyncio.gather(*receivers)] == [[str(number)] for number in range(50)]


async def test_one_batch_serves_many_receivers(bench: Bench) -> None:
    broker = await bench.open()
    receivers = [waiting(broker, count=2) for _ in range(3)]
    await turns()
    await broker.send("q", [message(str(number)) for number in range(5)])
    assert [bodies(got) for got in await asyncio.gather(*receivers)] == [["0", "1"], ["2", "3"], ["4"]]


async def test_somebody_who_asks_without_waiting_does_not_overtake(bench: Bench) -> None:
    broker = await bench.open()
    first = waiting(broker)
    await turns()
    send = asyncio.create_task(broker.send("q", [message()]))
    hasty = asyncio.create_task(broker.receive_now("q", max_messages=1, mode=LOCK))
    assert len(await first) == 1
    assert await hasty == []
    await send


async def test_a_waiting_receiver_is_woken_when_a_schedule_comes_due(bench: Bench) -> None:
    broker = await bench.open()
    await broker.send("q", [message(scheduled_enqueue_time=bench.clock.now() + timedelta(hours=1))])
    receiver = waiting(broker)
    await turns()
    bench.advance(hours=1)
    assert bodies(await asyncio.wait_for(receiver, 5)) == ["m"]


async def test_a_waiting_receiver_is_woken_when_a_lock_ends(bench: Bench) -> None:
    broker = await bench.open()
    await broker.send("q", [message()])
    await take_one(broker)
    receiver = waiting(broker)
    await turns()
    bench.advance(minutes=1)
    assert (await asyncio.wait_for(receiver, 5))[0].delivery_count == 1


async def test_who_waits_on_the_dead_letter_queue_is_woken_by_an_expiry(bench: Bench) -> None:
    broker = await bench.queue(dead_lettering_on_message_expiration=True)
    receiver = waiting(broker, DEAD)
    await broker.send("q", [message(time_to_live=timedelta(hours=1))])
    await turns()
    bench.advance(hours=1)
    assert bodies(await asyncio.wait_for(receiver, 5)) == ["m"]


async def test_who_waits_on_a_subscription_is_woken_by_the_topics_schedule(bench: Bench) -> None:
    broker = await bench.open(Topology(topics=(TopicOptions("t", subscriptions=(SubscriptionOptions("s"),)),)))
    receiver = waiting(broker, "t/subscriptions/s")
    await broker.send("t", [message(scheduled_enqueue_time=bench.clock.now() + timedelta(hours=1))])
    await turns()
    bench.advance(hours=1)
    assert bodies(await asyncio.wait_for(receiver, 5)) == ["m"]


async def test_a_lock_given_after_a_leap_begins_at_the_leaps_end(bench: Bench) -> None:
    broker = await bench.open()
    await broker.send("q", [message()])
    await take_one(broker)
    receiver = waiting(broker)
    await turns()
    bench.advance(days=1)
    (got,) = await receiver
    assert got.locked_until == bench.clock.now() + timedelta(minutes=1)


async def test_a_thousand_waiting_receivers_that_give_up_leave_nothing_behind(bench: Bench) -> None:
    broker = await bench.open()
    receivers = [waiting(broker) for _ in range(1000)]
    await turns()
    for receiver in receivers[:-1]:
        receiver.cancel()
    await asyncio.wait(receivers[:-1])
    await broker.send("q", [message()])
    assert bodies(await receivers[-1]) == ["m"]


# -- cancelling -----------------------------------------------------------------------------------------------------


@MODES
async def test_a_receive_cancelled_while_waiting_has_taken_nothing(bench: Bench, mode: ReceiveMode) -> None:
    broker = await bench.open()
    receiver = waiting(broker, mode=mode)
    await turns()
    receiver.cancel()
    await broker.send("q", [message()])
    await asyncio.wait([receiver])
    assert (await take_one(broker)).delivery_count == 0


@MODES
async def test_a_receive_cancelled_before_its_commit_has_taken_nothing(bench: Bench, mode: ReceiveMode) -> None:
    broker = await bench.open()
    await broker.send("q", [message("a", properties={"p": 1}), message("b")])
    before = await shown(broker)
    receiver = waiting(broker, count=2, mode=mode)
    await asyncio.sleep(0)
    receiver.cancel()
    await asyncio.wait([receiver])
    assert receiver.cancelled()
    assert await shown(broker) == before
    await broker.close()
    assert await shown(await bench.open()) == before


@MODES
async def test_a_receive_cancelled_in_the_instant_it_is_served_passes_it_on(bench: Bench, mode: ReceiveMode) -> None:
    broker = await bench.open()
    first, second = waiting(broker, mode=mode), waiting(broker)
    await turns()
    send = asyncio.create_task(broker.send("q", [message()]))
    await asyncio.sleep(0)
    first.cancel()
    (got,) = await second
    assert got.delivery_count == 0
    assert first.cancelled()
    await send


@MODES
async def test_a_receive_of_deferred_messages_that_is_cancelled_leaves_them_deferred(
    bench: Bench, mode: ReceiveMode
) -> None:
    broker = await bench.open()
    await broker.send("q", [message()])
    await broker.defer("q", token(await take_one(broker)))
    before = await shown(broker)
    receiver = asyncio.create_task(broker.receive_deferred("q", [1], mode))
    await asyncio.sleep(0)
    receiver.cancel()
    await asyncio.wait([receiver])
    assert await shown(broker) == before


async def test_a_timeout_around_a_receive_loses_nothing(bench: Bench) -> None:
    broker = await bench.open()
    for _ in range(20):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(broker.receive("q", max_messages=1, mode=DELETE), 0.001)
    await broker.send("q", [message()])
    assert len(await take(broker)) == 1


async def test_a_cancelled_send_has_happened_wholly(bench: Bench) -> None:
    broker = await bench.open()
    send = asyncio.create_task(broker.send("q", [message("a"), message("b")]))
    await asyncio.sleep(0)
    send.cancel()
    await asyncio.wait([send])
    assert bodies(await shown(broker)) == ["a", "b"]
    await broker.close()
    assert bodies(await shown(await bench.open())) == ["a", "b"]


async def test_a_send_cancelled_before_it_began_has_not_happened(bench: Bench) -> None:
    broker = await bench.open()
    send = asyncio.create_task(broker.send("q", [message()]))
    send.cancel()
    await asyncio.wait([send])
    assert await shown(broker) == []


async def test_a_cancelled_completion_has_happened(bench: Bench) -> None:
    broker = await bench.open()
    await broker.send("q", [message()])
    completion = asyncio.create_task(broker.complete("q", token(await take_one(broker))))
    await asyncio.sleep(0)
    completion.cancel()
    await asyncio.wait([completion])
    await broker.close()
    assert await shown(await bench.open()) == []


# -- ends -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["close", "abort"])
async def test_whoever_waits_when_the_broker_stops_is_told(bench: Bench, how: str) -> None:
    topology = Topology((QueueOptions("q"), QueueOptions("s", requires_session=True)))
    broker = await bench.open(topology)
    calls = [waiting(broker), waiting(broker, DEAD), asyncio.create_task(broker.accept_session("s", None))]
    await turns()
    await getattr(broker, how)()
    for outcome in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(outcome, BrokerClosed)
    for call in (broker.send("q", [message()]), broker.receive("q", max_messages=1, mode=LOCK), shown(broker)):
        with pytest.raises(BrokerClosed):
            await call
    await broker.close()


async def test_a_receiver_that_comes_while_the_broker_closes_is_told(bench: Bench) -> None:
    broker = await bench.open()
    closing = asyncio.create_task(broker.close())
    await asyncio.sleep(0)
    with pytest.raises(BrokerClosed):
        await asyncio.wait_for(broker.receive("q", max_messages=1, mode=LOCK), 5)
    await closing


async def test_whoever_waits_on_a_queue_that_is_deleted_is_told(bench: Bench) -> None:
    broker = await bench.open()
    receivers = [waiting(broker), waiting(broker, DEAD)]
    await turns()
    await broker.delete_queue("q")
    for outcome in await asyncio.gather(*receivers, return_exceptions=True):
        assert isinstance(outcome, EntityNotFound)
        assert str(outcome) == "q has been deleted"


# -- refusals -------------------------------------------------------------------------------------------------------


async def test_a_topic_is_not_received_from(bench: Bench) -> None:
    broker = await bench.open(Topology(topics=(TopicOptions("t"),)))
    with pytest.raises(InvalidOperation, match="a topic is received from by its subscriptions"):
        await take(broker, "t")


async def test_a_disabled_entity_does_neither_and_a_half_disabled_one_half(bench: Bench) -> None:
    names = {"off": EntityStatus.DISABLED, "in": EntityStatus.RECEIVE_DISABLED, "out": EntityStatus.SEND_DISABLED}
    broker = await bench.open(Topology(tuple(QueueOptions(name, status=status) for name, status in names.items())))
    for name in ("off", "out"):
        with pytest.raises(EntityDisabled, match=f"^{name} is .*Disabled: nothing can be sent to it"):
            await broker.send(name, [message()])
    for name in ("off", "in"):
        with pytest.raises(EntityDisabled, match=f"^{name} is .*Disabled: nothing can be received from it"):
            await take(broker, name)
    await broker.send("in", [message()])
    assert await take(broker, "out") == []
