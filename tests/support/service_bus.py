"""A Service Bus namespace to test against, and the stock client in its two forms behind one way of calling.

The namespace is ours (in this process, on a clock the test moves) or one that `--servicebus-connection` names.
"""

import asyncio
import functools
import inspect
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from azure.core.pipeline.transport import RequestsTransport
from azure.servicebus import ServiceBusClient
from azure.servicebus.aio import ServiceBusClient as AsyncServiceBusClient
from azure.servicebus.management import CorrelationRuleFilter, ServiceBusAdministrationClient, SqlRuleFilter

from devhost.amqp.limits import Limits
from devhost.amqp.listener import AmqpListener
from devhost.broker.broker import Broker
from devhost.broker.topology import QueueOptions, Rule, SubscriptionOptions, TopicOptions, Topology
from devhost.clock import ManualClock

#: Long enough for a loaded machine, short enough for a test that fails.
PATIENCE = 10.0
#: How long nothing has to come for it to count as nothing.
QUIET = 0.4


def connection_string(port: int) -> str:
    """The emulator's, for a port of this machine."""
    return (
        f"Endpoint=sb://localhost:{port};SharedAccessKeyName=RootManageSharedAccessKey;"
        "SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true;"
    )


class Namespace(Protocol):
    """Where the suite's entities are made."""

    connection: str

    async def queue(self, **options: Any) -> str:
        """Make a queue; its name."""
        ...

    async def topic(self, **options: Any) -> str:
        """Make a topic; its name."""
        ...

    async def subscription(self, topic: str, name: str, **options: Any) -> None:
        """Make a subscription; `rules` are filters by name, instead of `$Default`."""
        ...

    async def is_empty(self, queue: str) -> bool:
        """Whether a queue is known to hold nothing."""
        ...

    async def close(self) -> None:
        """Remove what was made."""
        ...


class LocalNamespace:
    """Our own broker and listener, on a manual clock that starts at the present."""

    def __init__(self, folder: Path, limits: Limits | None = None) -> None:
        self.clock = ManualClock(datetime.now(UTC))
        self.path = folder / "broker.db"
        self._limits = limits
        self._number = 0

    async def start(self) -> None:
        self.broker = await Broker.open(self.path, Topology(), self.clock)
        self.listener = AmqpListener(self.broker, self.clock, port=0, limits=self._limits)
        await self.listener.start()
        self.connection = connection_string(self.listener.port)

    def advance(self, **by: float) -> None:
        """Move the clock: `seconds=30`."""
        self.clock.advance(timedelta(**by))

    def catch_up(self) -> None:
        """Move the clock to the present if it is behind: clients compare the end of a lock with their own clock."""
        self.clock.move_to(max(self.clock.now(), datetime.now(UTC)))

    async def queue(self, **options: Any) -> str:
        name = self._name("Queue")
        await self.broker.create_queue(QueueOptions(name, **options))
        return name

    async def topic(self, **options: Any) -> str:
        name = self._name("Topic")
        await self.broker.create_topic(TopicOptions(name, **options))
        return name

    async def subscription(self, topic: str, name: str, **options: Any) -> None:
        rules = options.pop("rules", None)
        if rules is not None:
            options["rules"] = tuple(Rule(rule, rule_filter) for rule, rule_filter in rules.items())
        await self.broker.create_subscription(topic, SubscriptionOptions(name, **options))

    async def is_empty(self, queue: str) -> bool:
        return self.broker.counts(queue).total == 0

    async def close(self) -> None:
        await self.listener.stop()
        await self.broker.close()

    def _name(self, kind: str) -> str:
        self._number += 1
        return f"{kind}-{self._number}"


class PlainHttp:
    """Microsoft's emulator speaks plain HTTP, its Python client only HTTPS: a transport that calls things so."""

    def __init__(self) -> None:
        self._inner: Any = RequestsTransport()

    def send(self, request: Any, **options: Any) -> Any:
        request.url = request.url.replace("https://", "http://", 1)
        return self._inner.send(request, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __enter__(self) -> "PlainHttp":
        self._inner.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._inner.__exit__(*error)


class ExternalNamespace:
    """Somebody else's: Microsoft's emulator, or a namespace in Azure. Entities are made by its administration."""

    def __init__(self, connection: str) -> None:
        self.connection = connection
        emulator = "usedevelopmentemulator=true" in connection.lower()
        administration = connection.replace("//localhost;", "//localhost:5300;") if emulator else connection
        options: dict[str, Any] = {"transport": PlainHttp()} if emulator else {}
        self._administration = ServiceBusAdministrationClient.from_connection_string(administration, **options)
        self._made: list[Callable[[], None]] = []

    async def queue(self, **options: Any) -> str:
        name = f"contract-{uuid.uuid4()}"
        options.setdefault("lock_duration", timedelta(seconds=30))
        await asyncio.to_thread(self._administration.create_queue, name, **options)
        self._made.append(lambda: self._administration.delete_queue(name))
        return name

    async def topic(self, **options: Any) -> str:
        name = f"contract-{uuid.uuid4()}"
        await asyncio.to_thread(self._administration.create_topic, name, **options)
        self._made.append(lambda: self._administration.delete_topic(name))
        return name

    async def subscription(self, topic: str, name: str, **options: Any) -> None:
        rules = options.pop("rules", None)
        await asyncio.to_thread(self._administration.create_subscription, topic, name, **options)
        if rules is not None:
            await asyncio.to_thread(self._administration.delete_rule, topic, name, "$Default")
            for rule, rule_filter in rules.items():
                await asyncio.to_thread(
                    self._administration.create_rule, topic, name, rule, filter=_stock_filter(rule_filter)
                )

    async def is_empty(self, queue: str) -> bool:
        return False

    async def close(self) -> None:
        for remove in self._made:
            await asyncio.to_thread(remove)
        self._administration.close()


def _stock_filter(ours: Any) -> Any:
    if hasattr(ours, "expression"):
        return SqlRuleFilter(ours.expression)
    return CorrelationRuleFilter(label=ours.label, properties=dict(ours.properties))


class InThread:
    """A blocking object whose methods are called in a thread, so that it reads like its asynchronous twin."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        if name == "session":
            return InThread(value)
        if not callable(value):
            return value

        async def call(*args: Any, **options: Any) -> Any:
            return await asyncio.to_thread(value, *args, **options)

        return call

    async def __aenter__(self) -> "InThread":
        await asyncio.to_thread(self._inner.__enter__)
        return self

    async def __aexit__(self, *error: object) -> None:
        await asyncio.to_thread(self._inner.__exit__, *error)


@dataclass(slots=True)
class Lane:
    """A queue of its own with an open sender and an open receiver."""

    queue: str
    sender: Any
    receiver: Any
    #: Not to be used again: the receiver has credit left, or the queue has messages.
    spoiled: bool = False


class Bus:
    """The stock client. What it returns is asynchronous in both forms; retries are off, so that errors show.

    Opening a handler takes the stock client half a second of sleeping, and closing one as long: lanes that a test left
    clean are used again, and what is closed is closed in the background.
    """

    def __init__(self, namespace: Namespace, *, blocking: bool) -> None:
        make: Any = ServiceBusClient if blocking else AsyncServiceBusClient
        self.name = "blocking" if blocking else "asynchronous"
        self._namespace = namespace
        self._client = make.from_connection_string(namespace.connection, retry_total=0)
        self._blocking = blocking
        self._idle: dict[str, list[Lane]] = {}
        self._closing: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def lane(self, **options: Any) -> AsyncIterator[Lane]:
        """A lane whose queue has these options."""
        kept = self._idle.setdefault(repr(sorted(options.items())), [])
        lane = kept.pop() if kept else await self._open_lane(options)
        clean = False
        try:
            yield lane
            clean = not lane.spoiled and await self._namespace.is_empty(lane.queue)
        finally:
            if clean:
                kept.append(lane)
            else:
                self._retire(lane.sender, lane.receiver)

    @asynccontextmanager
    async def open(self, *handlers: Any) -> AsyncIterator[Any]:
        """Open handlers together; one comes by itself, several as a tuple."""
        opened = await asyncio.gather(*(handler.__aenter__() for handler in handlers), return_exceptions=True)
        failure = next((each for each in opened if isinstance(each, BaseException)), None)
        try:
            if failure is not None:
                raise failure
            yield opened[0] if len(opened) == 1 else tuple(opened)
        finally:
            self._retire(*(each for each in opened if not isinstance(each, BaseException)))

    def sender(self, entity: str, *, topic: bool = False) -> Any:
        """A sender to a queue or topic."""
        make = self._client.get_topic_sender if topic else self._client.get_queue_sender
        # Without the blocking client's keep-alive thread, which takes a second to join.
        return self._wrapped(make(entity, keep_alive=0))

    def receiver(self, entity: str, subscription: str | None = None, **options: Any) -> Any:
        """A receiver of a queue or subscription."""
        if subscription is None:
            return self._wrapped(self._client.get_queue_receiver(entity, keep_alive=0, **options))
        made = self._client.get_subscription_receiver(entity, subscription, keep_alive=0, **options)
        return self._wrapped(made)

    async def sessions(self, queue: str, **options: Any) -> list[str]:
        """The ids of a queue's sessions."""
        listing = self._client.list_queue_sessions(queue, **options)
        if self._blocking:
            return await asyncio.to_thread(list, listing)
        return [session async for session in listing]

    async def close(self) -> None:
        """Close everything, and wait for it."""
        for lane in [lane for kept in self._idle.values() for lane in kept]:
            self._retire(lane.sender, lane.receiver)
        await asyncio.gather(*self._closing)
        if self._blocking:
            await asyncio.to_thread(self._client.close)
        else:
            await self._client.close()

    async def _open_lane(self, options: dict[str, Any]) -> Lane:
        queue = await self._namespace.queue(**options)
        sender, receiver = self.sender(queue), self.receiver(queue)
        await asyncio.gather(sender.__aenter__(), receiver.__aenter__())
        return Lane(queue, sender, receiver)

    def _retire(self, *handlers: Any) -> None:
        for handler in handlers:
            closing = asyncio.create_task(handler.__aexit__(None, None, None))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    def _wrapped(self, made: Any) -> Any:
        return InThread(made) if self._blocking else made


def with_both_clients(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Run a test with the asynchronous and the blocking client at the same time: both mostly sleep.

    Not for a test that moves the clock, which both share.
    """

    @functools.wraps(test)
    async def run(*, buses: Sequence[Bus], **fixtures: Any) -> None:
        outcomes = await asyncio.gather(*(test(bus=bus, **fixtures) for bus in buses), return_exceptions=True)
        failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        for outcome, bus in zip(outcomes, buses, strict=True):
            if isinstance(outcome, BaseException):
                outcome.add_note(f"with the {bus.name} client")
        if failures:
            raise failures[0] if len(failures) == 1 else BaseExceptionGroup("with both clients", failures)

    signature = inspect.signature(test)
    names = [name for name in signature.parameters if name != "bus"]
    parameters = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in [*names, "buses"]]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return run


async def receive(receiver: Any, count: int = 1) -> list[Any]:
    """Exactly `count` messages, however many receive calls they take."""
    found: list[Any] = []
    while len(found) < count:
        more = await receiver.receive_messages(max_message_count=count - len(found), max_wait_time=PATIENCE)
        assert more, f"only {len(found)} of {count} messages came within {PATIENCE} s"
        found += more
    return found


async def receive_one(receiver: Any) -> Any:
    """The next message."""
    return (await receive(receiver))[0]


async def take(lane: Lane, count: int = 1) -> list[Any]:
    """Exactly `count` messages, completed."""
    found = await receive(lane.receiver, count)
    for message in found:
        await lane.receiver.complete_message(message)
    return found


async def take_one(lane: Lane) -> Any:
    """The next message, completed."""
    return (await take(lane))[0]


async def nothing_comes(lane: Lane) -> bool:
    """Whether a receive call on the lane stays empty."""
    # The credit of a call that got nothing stays with the service.
    lane.spoiled = True
    return not await lane.receiver.receive_messages(max_message_count=1, max_wait_time=QUIET)


def body(message: Any) -> bytes:
    """A message's data."""
    return b"".join(message.body)
