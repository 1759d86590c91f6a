"""The administration of a broker: entities and rules are listed, counted, made, changed and removed.

The lower layer of `devhost.broker.broker.Broker`, which adds the messages.
"""

from collections.abc import Callable
from contextlib import suppress

from devhost.broker.agenda import Agenda
from devhost.broker.catalog import Catalog
from devhost.broker.context import Context
from devhost.broker.entities import Times, Topic
from devhost.broker.errors import BrokerClosed, BrokerError, StoreFailed
from devhost.broker.instants import to_datetime
from devhost.broker.journal import Journal
from devhost.broker.lifecycle import Status
from devhost.broker.model import RuntimeCounts
from devhost.broker.queue import MessageQueue
from devhost.broker.store import Store
from devhost.broker.topology import QueueOptions, Rule, SubscriptionOptions, TopicOptions
from devhost.clock import Clock


class Turn:
    """One operation, entered with its instant: what is due comes before it, those who wait are served after it.

    It has no state of its own, so that one serves for all.
    """

    def __init__(self, store: Store, context: Context) -> None:
        self._store = store
        self._context = context

    def __enter__(self) -> int:
        self._store.check()
        now = self._context.agenda.now()
        self._context.agenda.run(now)
        return now

    def __exit__(self, *_: object) -> None:
        self._context.settle()


class Administration:
    """Entities and rules, over the broker's shared parts."""

    def __init__(self, store: Store, clock: Clock) -> None:
        """`Broker.open` makes one."""
        self._store = store
        self._agenda = Agenda(clock, self._ring)
        self._context = Context(self._agenda, Journal(store))
        self._catalog = Catalog(self._context)
        self._turn = Turn(store, self._context)
        #: Called once with the reason when a write has failed: nothing can be accepted any more.
        self.on_failure: Callable[[BrokerError], None] = lambda _: None
        store.on_failure = self._failed

    # -- looking --------------------------------------------------------------------------------------------------

    def require(self, entity: str) -> None:
        """Raise `EntityNotFound` unless the path names a queue, topic, subscription or dead-letter queue."""
        if not self.is_topic(entity):
            self._catalog.receivable(entity)

    def requires_session(self, entity: str) -> bool:
        """Whether receiving from the entity needs a session lock; a dead-letter queue's never does."""
        return self._catalog.receivable(entity)[1].queue.sessions is not None

    def is_topic(self, entity: str) -> bool:
        """Whether the path names a topic."""
        return self._catalog.is_topic(entity)

    def max_message_size(self, entity: str) -> int:
        """The largest message, in bytes, that the queue or topic takes."""
        return self._catalog.sendable(entity).options.max_message_size_in_kilobytes * 1024

    def queues(self) -> list[QueueOptions]:
        """All queues, by name."""
        return [queue.options for queue in self._catalog.queues()]

    def topics(self) -> list[TopicOptions]:
        """All topics, by name, each with its subscriptions."""
        return [topic.described() for topic in self._catalog.topics()]

    def subscriptions(self, topic: str) -> list[SubscriptionOptions]:
        """The topic's subscriptions, by name, each with its rules."""
        return list(self._catalog.topic(topic).described().subscriptions)

    def rules(self, entity: str) -> list[Rule]:
        """The rules of the subscription at this path, by name."""
        return list(self._catalog.subscription(entity).rules.all())

    def counts(self, entity: str) -> RuntimeCounts:
        """What the entity holds now; for a dead-letter queue's path, what that queue holds."""
        if self.is_topic(entity):
            topic = self._catalog.topic(entity)
            with self._turn:
                return _topic_counts(topic)
        owner, dispatcher = self._catalog.receivable(entity)
        with self._turn:
            if dispatcher is owner.place.dead:
                return _queue_counts(dispatcher.queue, None, owner.times)
            return _queue_counts(dispatcher.queue, owner.place.dead.queue, owner.times)

    # -- changing -------------------------------------------------------------------------------------------------

    async def create_queue(self, options: QueueOptions) -> None:
        """Add a queue; `EntityExists`, `ArgumentError`."""
        with self._turn as now:
            written = self._catalog.create_queue(options, now)
        await written

    async def update_queue(self, options: QueueOptions) -> None:
        """Replace a queue's options; `InvalidOperation` for one that is fixed at creation."""
        with self._turn as now:
            written = self._catalog.update_queue(options, now)
        await written

    async def delete_queue(self, name: str) -> None:
        """Remove a queue with everything in it; those who wait there get `EntityNotFound`."""
        with self._turn:
            written = self._catalog.delete_queue(name)
        await written

    async def create_topic(self, options: TopicOptions) -> None:
        """Add a topic with its subscriptions; `EntityExists`, `ArgumentError`."""
        with self._turn as now:
            written = self._catalog.create_topic(options, now)
        await written

    async def update_topic(self, options: TopicOptions) -> None:
        """Replace a topic's options; its subscriptions stay as they are."""
        with self._turn as now:
            written = self._catalog.update_topic(options, now)
        await written

    async def delete_topic(self, name: str) -> None:
        """Remove a topic with its subscriptions and everything in them."""
        with self._turn:
            written = self._catalog.delete_topic(name)
        await written

    async def create_subscription(self, topic: str, options: SubscriptionOptions) -> None:
        """Add a subscription; it gets messages sent from now on."""
        with self._turn as now:
            written = self._catalog.create_subscription(topic, options, now)
        await written

    async def update_subscription(self, topic: str, options: SubscriptionOptions) -> None:
        """Replace a subscription's options; its rules stay as they are."""
        with self._turn as now:
            written = self._catalog.update_subscription(topic, options, now)
        await written

    async def delete_subscription(self, topic: str, name: str) -> None:
        """Remove a subscription with everything in it."""
        with self._turn:
            written = self._catalog.delete_subscription(topic, name)
        await written

    async def add_rule(self, entity: str, rule: Rule) -> None:
        """Add a rule to the subscription at this path; `EntityExists`, `ArgumentError`, `FilterSyntaxError`."""
        with self._turn as now:
            written = self._catalog.add_rule(entity, rule, now)
        await written

    async def remove_rule(self, entity: str, name: str) -> None:
        """Remove a rule from the subscription at this path; `EntityNotFound`."""
        with self._turn as now:
            written = self._catalog.remove_rule(entity, name, now)
        await written

    # -- turns ----------------------------------------------------------------------------------------------------

    def _ring(self) -> None:
        # A store that has ended has told everybody who waits.
        with suppress(BrokerClosed, StoreFailed), self._turn:
            pass

    def _failed(self, error: BrokerError) -> None:
        self._end(error)
        self.on_failure(error)

    def _end(self, error: BrokerError) -> None:
        self._agenda.cancel()
        self._catalog.end(error)


def _queue_counts(queue: MessageQueue, dead: MessageQueue | None, times: Times) -> RuntimeCounts:
    count_of = queue.ledger.count_of
    locked = count_of[Status.LOCKED] + count_of[Status.DEFERRED_LOCKED]
    deferred = count_of[Status.DEFERRED]
    return RuntimeCounts(
        active=count_of[Status.WAITING] + locked + deferred,
        locked=locked,
        deferred=deferred,
        scheduled=count_of[Status.SCHEDULED],
        dead_letter=0 if dead is None else len(dead.ledger),
        size_bytes=queue.ledger.size_bytes + (0 if dead is None else dead.ledger.size_bytes),
        created_at=to_datetime(times.created),
        updated_at=to_datetime(times.updated),
        accessed_at=to_datetime(times.accessed),
    )


def _topic_counts(topic: Topic) -> RuntimeCounts:
    return RuntimeCounts(
        scheduled=len(topic.schedule),
        size_bytes=topic.size_bytes,
        subscriptions=len(topic.subscriptions),
        created_at=to_datetime(topic.times.created),
        updated_at=to_datetime(topic.times.updated),
        accessed_at=to_datetime(topic.times.accessed),
    )
