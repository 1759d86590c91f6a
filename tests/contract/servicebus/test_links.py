"""Links, credit and connections, as a client sees them that speaks AMQP 1.0 and knows nothing of Service Bus."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from proton import Delivery, Message, Timeout
from proton.handlers import MessagingHandler
from proton.utils import BlockingConnection, LinkDetached

from tests.support.service_bus import LocalNamespace

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def run(local: LocalNamespace, script: Callable[[BlockingConnection], Any], **options: Any) -> Any:
    """Run `script` with a connection, in a thread."""

    def work() -> Any:
        options.setdefault("allowed_mechs", "ANONYMOUS")
        connection = BlockingConnection(f"amqp://127.0.0.1:{local.listener.port}", timeout=10, **options)
        try:
            return script(connection)
        finally:
            connection.close()

    return await asyncio.to_thread(work)


def send(connection: BlockingConnection, address: str, *bodies: str) -> None:
    sender = connection.create_sender(address)
    for body in bodies:
        assert sender.send(Message(body=body)).remote_state == Delivery.ACCEPTED
    sender.close()


class Collector(MessagingHandler):  # type: ignore[misc]  # Proton ships no types
    """Keeps what arrives, and settles it only when told."""

    def __init__(self) -> None:
        super().__init__(prefetch=0, auto_accept=False)
        self.bodies: list[object] = []
        self.deliveries: list[Any] = []

    def on_message(self, event: Any) -> None:
        self.bodies.append(event.message.body)
        self.deliveries.append(event.delivery)


async def test_a_plain_amqp_client_sends_and_receives(local: LocalNamespace) -> None:
    queue = await local.queue()

    def script(connection: BlockingConnection) -> object:
        send(connection, queue, "hello")
        receiver = connection.create_receiver(queue)
        message = receiver.receive()
        receiver.accept()
        return message.body

    assert await run(local, script) == "hello"
    assert await local.is_empty(queue)


async def test_a_client_may_name_itself_and_a_password(local: LocalNamespace) -> None:
    queue = await local.queue()
    options = {"allowed_mechs": "PLAIN", "user": "RootManageSharedAccessKey", "password": "SAS_KEY_VALUE"}
    await run(local, lambda connection: send(connection, queue, "x"), **options)
    assert local.broker.counts(queue).active == 1


async def test_no_more_comes_than_there_is_credit_for(local: LocalNamespace) -> None:
    queue = await local.queue()

    def script(connection: BlockingConnection) -> list[int]:
        send(connection, queue, *"abcde")
        collector = Collector()
        receiver = connection.create_receiver(queue, credit=0, handler=collector)
        seen = []
        for credit in (2, 1):
            expected = len(collector.bodies) + credit
            receiver.link.flow(credit)
            connection.wait(lambda wanted=expected: len(collector.bodies) >= wanted, timeout=10)
            # A round trip on another link: whatever was on its way has come by now.
            connection.create_sender(queue).close()
            seen.append(len(collector.bodies))
        return seen

    assert await run(local, script) == [2, 3]


async def test_draining_a_link_gives_back_the_credit_that_is_left(local: LocalNamespace) -> None:
    queue = await local.queue()

    def script(connection: BlockingConnection) -> tuple[int, int]:
        send(connection, queue, "only")
        collector = Collector()
        receiver = connection.create_receiver(queue, credit=0, handler=collector)
        receiver.link.flow(10)
        connection.wait(lambda: collector.bodies, timeout=10)
        receiver.link.drain(0)
        connection.wait(lambda: not receiver.link.draining(), timeout=10)
        send(connection, queue, "later")
        return receiver.link.credit, len(collector.bodies)

    assert await run(local, script) == (0, 1)


async def test_a_connection_carries_many_links(local: LocalNamespace) -> None:
    queues = [await local.queue() for _ in range(60)]

    def script(connection: BlockingConnection) -> list[object]:
        senders = [connection.create_sender(queue) for queue in queues]
        receivers = [connection.create_receiver(queue, credit=1) for queue in queues]
        for number, sender in enumerate(senders):
            sender.send(Message(body=number))
        found = []
        for receiver in receivers:
            found.append(receiver.receive().body)
            receiver.accept()
        return found

    assert await run(local, script) == list(range(60))


async def test_a_link_can_be_detached_and_attached_again_under_its_name(local: LocalNamespace) -> None:
    queue = await local.queue()

    def script(connection: BlockingConnection) -> list[object]:
        found = []
        for number in range(5):
            sender = connection.create_sender(queue, name="out")
            receiver = connection.create_receiver(queue, name="in", credit=1)
            sender.send(Message(body=number))
            found.append(receiver.receive().body)
            receiver.accept()
            sender.close()
            receiver.close()
        return found

    assert await run(local, script) == list(range(5))


async def test_a_refused_link_leaves_the_connection_usable(local: LocalNamespace) -> None:
    queue = await local.queue()

    def script(connection: BlockingConnection) -> str:
        with pytest.raises(LinkDetached) as refused:
            connection.create_sender("no-such-queue")
        send(connection, queue, "x")
        return str(refused.value.condition)

    assert await run(local, script) == "amqp:not-found"


async def test_an_idle_connection_is_kept_alive_as_often_as_the_client_asks(local: LocalNamespace) -> None:
    def script(connection: BlockingConnection) -> int:
        transport = connection.conn.transport
        begun: int = transport.frames_input
        connection.wait(lambda: transport.frames_input >= begun + 3, timeout=10)
        return int(transport.frames_input) - begun

    assert await run(local, script, heartbeat=1.0) >= 3


async def test_a_released_delivery_goes_to_the_next_receiver_uncounted(local: LocalNamespace) -> None:
    queue = await local.queue()

    def script(connection: BlockingConnection) -> list[tuple[object, int]]:
        send(connection, queue, "x")
        seen = []
        for settle in ("release", "accept"):
            receiver = connection.create_receiver(queue, credit=1)
            message = receiver.receive()
            seen.append((message.body, message.delivery_count))
            getattr(receiver, settle)(**({"delivered": False} if settle == "release" else {}))
            receiver.close()
        with pytest.raises(Timeout):
            connection.create_receiver(queue, credit=1).receive(timeout=0.2)
        return seen

    assert await run(local, script) == [("x", 0), ("x", 0)]
