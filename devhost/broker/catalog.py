"""All entities of a broker by path: finding, making, changing and removing them, in memory and in the file.

Paths are compared without regard to case. Each change is made in memory at once and returns the future of its write.
"""

import asyncio
import sqlite3
from dataclasses import replace

from devhost.broker import records
from devhost.broker.context import Context
from devhost.broker.dispatch import Dispatcher
from devhost.broker.duplicates import Sieve
from devhost.broker.entities import Entity, Place, Queue, Subscription, Times, Topic, window_of
from devhost.broker.errors import BrokerError, EntityExists, EntityNotFound, InvalidOperation, StoreUnreadable
from devhost.broker.limits import check_queue, check_subscription, check_topic
from devhost.broker.records import EntityRecord, Options, encode_options
from devhost.broker.rules import RuleSet
from devhost.broker.schedule import TopicSchedule
from devhost.broker.topology import QueueOptions, Rule, SubscriptionOptions, TopicOptions

_DEAD_LETTERS = "/$deadletterqueue"


def normal(path: str) -> str:
    """The form in which paths are compared."""
    return path.strip("/").lower()


class Catalog:
    """The entities of one broker."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._queues: dict[str, Queue] = {}
        self._topics: dict[str, Topic] = {}
        #: The last number given to a queue, topic, subscription or dead-letter queue in the file.
        self.last_number = 0

    # -- finding --------------------------------------------------------------------------------------------------

    def sendable(self, path: str) -> Queue | Topic:
        """The queue or topic to send to; `EntityNotFound`, `InvalidOperation`."""
        name = normal(path)
        found = self._queues.get(name) or self._topics.get(name)
        if found is None:
            self.receivable(path)
            raise InvalidOperation(f"{path}: messages are sent to queues and topics only")
        return found

    def receivable(self, path: str) -> tuple[Queue | Subscription, Dispatcher]:
        """The entity behind a path that can be received from, and the queue that the path means; as `sendable`."""
        name = normal(path)
        base = name.removesuffix(_DEAD_LETTERS)
        entity = self._find(base)
        if entity is None:
            raise EntityNotFound(f"there is no entity {path!r}")
        if isinstance(entity, Topic):
            raise InvalidOperation(f"{path}: a topic is received from by its subscriptions")
        return entity, entity.place.main if base == name else entity.place.dead

    def is_topic(self, path: str) -> bool:
        """Whether the path names a topic."""
        return normal(path) in self._topics

    def queue(self, name: str) -> Queue:
        """The queue of this name; `EntityNotFound`."""
        found = self._queues.get(normal(name))
        if found is None:
            raise EntityNotFound(f"there is no queue {name!r}")
        return found

    def topic(self, name: str) -> Topic:
        """The topic of this name; `EntityNotFound`."""
        found = self._topics.get(normal(name))
        if found is None:
            raise EntityNotFound(f"there is no topic {name!r}")
        return found

    def subscription(self, path: str) -> Subscription:
        """The subscription at this path; `EntityNotFound`."""
        found = self._find(normal(path))
        if not isinstance(found, Subscription):
            raise EntityNotFound(f"there is no subscription {path!r}")
        return found

    def queues(self) -> list[Queue]:
        """All queues, by name."""
        return [self._queues[name] for name in sorted(self._queues)]

    def topics(self) -> list[Topic]:
        """All topics, by name."""
        return [self._topics[name] for name in sorted(self._topics)]

    def places(self) -> list[Place]:
        """Where messages lie: of all queues and all subscriptions."""
        owners: list[Queue | Subscription] = [*self.queues()]
        for topic in self.topics():
            owners += topic.subscriptions.values()
        return [owner.place for owner in owners]

    # -- making: in memory ----------------------------------------------------------------------------------------

    def put(self, record: EntityRecord) -> Entity:
        """Take up an entity that the file has."""
        times = Times(record.created_at, record.updated_at, record.updated_at)
        match record.options:
            case QueueOptions() as options:
                place = self._place(options.name, record, options)
                queue = Queue(options, place, Sieve(record.number, window_of(options)), times)
                self._queues[record.path] = queue
                return queue
            case TopicOptions() as options:
                schedule = TopicSchedule(self._context, record.number, options.name)
                topic = Topic(options, record.number, schedule, Sieve(record.number, window_of(options)), times)
                schedule.publish = topic.copies
                self._topics[record.path] = topic
                return topic
            case SubscriptionOptions() as options:
                topic = self._topics[record.path.split("/subscriptions/")[0]]
                path = f"{topic.path}/subscriptions/{options.name}"
                place = self._place(path, record, options)
                subscription = Subscription(topic.path, options, place, RuleSet(path, options.rules), times)
                topic.subscriptions[options.name.lower()] = subscription
                return subscription

    def _place(self, path: str, record: EntityRecord, options: QueueOptions | SubscriptionOptions) -> Place:
        if record.dead_letters is None:
            raise StoreUnreadable(f"{path} has lost its dead-letter queue")
        return Place.build(self._context, path, (record.number, record.dead_letters), options)

    # -- making, changing, removing: with the write ---------------------------------------------------------------

    def create_queue(self, options: QueueOptions, now: int, *, declared: bool = False) -> asyncio.Future[None]:
        """Add a queue; `EntityExists`, `ArgumentError`."""
        check_queue(options)
        self._check_free(options.name)
        return self._create([self._record(normal(options.name), options, now, declared=declared)])

    def create_topic(self, options: TopicOptions, now: int, *, declared: bool = False) -> asyncio.Future[None]:
        """Add a topic with its subscriptions; `EntityExists`, `ArgumentError`."""
        check_topic(options)
        self._check_free(options.name)
        names = [subscription.name.lower() for subscription in options.subscriptions]
        for subscription in options.subscriptions:
            self._check_subscription(options.name, subscription)
            if names.count(subscription.name.lower()) > 1:
                raise EntityExists(f"{options.name} has two subscriptions {subscription.name!r}")
        path = normal(options.name)
        bare = replace(options, subscriptions=())
        made = [self._record(path, bare, now, declared=declared)]
        for subscription in options.subscriptions:
            sub_path = f"{path}/subscriptions/{subscription.name.lower()}"
            made.append(self._record(sub_path, subscription, now, declared=declared))
        return self._create(made)

    def create_subscription(
        self, topic_name: str, options: SubscriptionOptions, now: int, *, declared: bool = False
    ) -> asyncio.Future[None]:
        """Add a subscription; `EntityNotFound`, `EntityExists`, `ArgumentError`."""
        topic = self.topic(topic_name)
        self._check_subscription(topic.path, options)
        if options.name.lower() in topic.subscriptions:
            raise EntityExists(f"{topic.path} has a subscription {options.name!r} already")
        path = f"{normal(topic.path)}/subscriptions/{options.name.lower()}"
        return self._create([self._record(path, options, now, declared=declared)])

    def update_queue(self, options: QueueOptions, now: int, declared: str | None = None) -> asyncio.Future[None]:
        """Replace a queue's options; `InvalidOperation` for one that is fixed at creation.

        A topology (with `declared`, the options' text) may change these too, sessions only while the queue is empty.
        """
        queue = self.queue(options.name)
        check_queue(options)
        if declared is None:
            _check_fixed(queue.path, queue.options, options, "requires_session", "requires_duplicate_detection")
        queue.place.set_options(queue.path, options)
        queue.options = replace(options, name=queue.options.name)
        return self._write_options(queue, queue.place.numbers[0], queue.options, now, declared)

    def update_topic(self, options: TopicOptions, now: int, declared: str | None = None) -> asyncio.Future[None]:
        """Replace a topic's options, without its subscriptions; as `update_queue`."""
        topic = self.topic(options.name)
        check_topic(options)
        if declared is None:
            _check_fixed(topic.path, topic.options, options, "requires_duplicate_detection")
        topic.options = replace(options, name=topic.options.name, subscriptions=())
        return self._write_options(topic, topic.number, topic.options, now, declared)

    def update_subscription(
        self, topic_name: str, options: SubscriptionOptions, now: int, declared: str | None = None
    ) -> asyncio.Future[None]:
        """Replace a subscription's options; its rules too when `declared` is given. As `update_queue`."""
        subscription = self.subscription(f"{topic_name}/subscriptions/{options.name}")
        self._check_subscription(subscription.topic, options)
        if declared is None:
            _check_fixed(subscription.path, subscription.options, options, "requires_session")
        subscription.place.set_options(subscription.path, options)
        subscription.options = replace(options, name=subscription.options.name)
        if declared is not None:
            subscription.rules = RuleSet(subscription.path, options.rules)
        return self._write_options(subscription, subscription.place.numbers[0], subscription.described(), now, declared)

    def add_rule(self, path: str, rule: Rule, now: int) -> asyncio.Future[None]:
        """Add a rule to a subscription; `EntityExists`, `ArgumentError`."""
        subscription = self.subscription(path)
        subscription.rules.add(rule)
        return self._write_rules(subscription, now)

    def remove_rule(self, path: str, name: str, now: int) -> asyncio.Future[None]:
        """Remove a rule from a subscription; `EntityNotFound`."""
        subscription = self.subscription(path)
        subscription.rules.remove(name)
        return self._write_rules(subscription, now)

    def delete_queue(self, name: str) -> asyncio.Future[None]:
        """Remove a queue and what is in it."""
        queue = self.queue(name)
        del self._queues[normal(name)]
        return self._remove(queue)

    def delete_topic(self, name: str) -> asyncio.Future[None]:
        """Remove a topic, its subscriptions, and what is in them."""
        topic = self.topic(name)
        del self._topics[normal(name)]
        return self._remove(topic, *topic.subscriptions.values())

    def delete_subscription(self, topic_name: str, name: str) -> asyncio.Future[None]:
        """Remove a subscription and what is in it."""
        topic = self.topic(topic_name)
        subscription = topic.subscriptions.pop(name.lower(), None)
        if subscription is None:
            raise EntityNotFound(f"{topic.path} has no subscription {name!r}")
        return self._remove(subscription)

    def end(self, error: BrokerError) -> None:
        """Answer everybody who waits anywhere with `error`."""
        for place in self.places():
            place.end(error)

    # -- help -----------------------------------------------------------------------------------------------------

    def _find(self, name: str) -> Entity | None:
        found = self._queues.get(name) or self._topics.get(name)
        if found is not None:
            return found
        topic_name, _, subscription_name = name.partition("/subscriptions/")
        topic = self._topics.get(topic_name)
        return None if topic is None else topic.subscriptions.get(subscription_name)

    def _check_free(self, name: str) -> None:
        if normal(name) in self._queues or normal(name) in self._topics:
            raise EntityExists(f"there is an entity {name!r} already")

    def _check_subscription(self, topic_name: str, options: SubscriptionOptions) -> None:
        check_subscription(topic_name, options)
        RuleSet(f"{topic_name}/subscriptions/{options.name}", options.rules)

    def _record(self, path: str, options: Options, now: int, *, declared: bool) -> EntityRecord:
        self.last_number += 1
        number, dead_letters = self.last_number, None
        if not isinstance(options, TopicOptions):
            self.last_number += 1
            dead_letters = self.last_number
        text = encode_options(options) if declared else None
        return EntityRecord(number, path, options, text, dead_letters, 1, now, now)

    def _create(self, made: list[EntityRecord]) -> asyncio.Future[None]:
        for record in made:
            self.put(record)

        def work(connection: sqlite3.Connection) -> None:
            for record in made:
                records.insert(connection, record)

        return self._context.journal.store.submit(work)

    def _write_rules(self, subscription: Subscription, now: int) -> asyncio.Future[None]:
        number = subscription.place.numbers[0]
        return self._write_options(subscription, number, subscription.described(), now, None)

    def _write_options(
        self, entity: Entity, number: int, options: Options, now: int, declared: str | None
    ) -> asyncio.Future[None]:
        entity.times.updated = now
        switched = not isinstance(options, SubscriptionOptions) and _set_window(entity, options)

        def work(connection: sqlite3.Connection) -> None:
            records.update(connection, number, options, declared, now)
            if switched:
                self._context.journal.forget_seen(number, connection)

        return self._context.journal.store.submit(work)

    def _remove(self, *removed: Entity) -> asyncio.Future[None]:
        numbers: list[int] = []
        for entity in removed:
            if isinstance(entity, Topic):
                self._context.agenda.forget(entity.schedule)
                numbers.append(entity.number)
                continue
            entity.place.end(EntityNotFound(f"{entity.path} has been deleted"))
            self._context.agenda.forget(entity.place.main.queue)
            numbers.extend(entity.place.numbers)

        def work(connection: sqlite3.Connection) -> None:
            records.delete(connection, numbers)
            self._context.journal.empty(numbers, connection)

        return self._context.journal.store.submit(work)


def _set_window(entity: Entity, options: QueueOptions | TopicOptions) -> bool:
    """Follow changed options of duplicate detection; whether what was seen so far must be forgotten."""
    if isinstance(entity, Subscription):
        return False
    window = entity.sieve.window
    if options.requires_duplicate_detection and window is not None:
        window.window = options.duplicate_detection_history_time_window
        return False
    entity.sieve.window = window_of(options)
    return True


def _check_fixed(path: str, old: Options, new: Options, *names: str) -> None:
    for name in names:
        if getattr(old, name) != getattr(new, name):
            raise InvalidOperation(f"{path}: {name} is fixed when the entity is created")
