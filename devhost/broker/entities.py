"""The entities that a path can name: queues, topics, subscriptions, and what each of them has behind it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from devhost.broker.codec import DeadLetter
from devhost.broker.context import Context
from devhost.broker.dispatch import Dispatcher
from devhost.broker.duplicates import DuplicateWindow, Sieve
from devhost.broker.errors import BrokerError, EntityDisabled, InvalidOperation, QuotaExceeded
from devhost.broker.instants import to_instant
from devhost.broker.journal import Admission, Row
from devhost.broker.limits import check_messages
from devhost.broker.model import Message
from devhost.broker.queue import MessageQueue
from devhost.broker.rules import RuleSet
from devhost.broker.schedule import TopicSchedule
from devhost.broker.shelf import QueueSettings
from devhost.broker.sql_filter import Scope
from devhost.broker.topology import EntityStatus, QueueOptions, SubscriptionOptions, TopicOptions

_MEGABYTE = 1024 * 1024
_NO_SESSION = "Session ID is null."
_NO_SESSION_DESCRIPTION = "Session enabled entity doesn't allow a message whose session identifier is null."


@dataclass(slots=True)
class Times:
    """When an entity was made, changed, and last used. Instants."""

    created: int
    updated: int
    accessed: int


class Place:
    """Where messages of a queue or subscription lie: its queue and its dead-letter queue, each with its receivers."""

    def __init__(self, main: Dispatcher, dead: Dispatcher) -> None:
        self.main = main
        self.dead = dead

    @classmethod
    def build(
        cls, context: Context, path: str, numbers: tuple[int, int], options: QueueOptions | SubscriptionOptions
    ) -> "Place":
        """New queues under `path`; `numbers` are theirs in the file, main and dead-letter."""
        settings = settings_of(options)
        dead = MessageQueue(context, numbers[1], f"{path}/$deadletterqueue", dead_letter_settings(settings))
        main = MessageQueue(context, numbers[0], path, settings, dead_letters=dead)
        return cls(Dispatcher(context, main), Dispatcher(context, dead))

    @property
    def numbers(self) -> tuple[int, int]:
        """The queues' numbers in the file."""
        return self.main.queue.number, self.dead.queue.number

    @property
    def size_bytes(self) -> int:
        """The size of all messages here."""
        return self.main.queue.ledger.size_bytes + self.dead.queue.ledger.size_bytes

    @property
    def is_empty(self) -> bool:
        """Whether no message is here."""
        return not len(self.main.queue.ledger) and not len(self.dead.queue.ledger)

    def set_options(self, path: str, options: QueueOptions | SubscriptionOptions) -> None:
        """Follow changed options; `InvalidOperation` when sessions change while messages are here."""
        settings = settings_of(options)
        if settings.sessions != self.main.queue.settings.sessions and not self.is_empty:
            raise InvalidOperation(f"{path}: requiresSession cannot change while the entity holds messages")
        self.main.queue.use_settings(settings)
        self.dead.queue.use_settings(dead_letter_settings(settings))

    def end(self, error: BrokerError) -> None:
        """Answer everybody who waits here with `error`."""
        self.main.end(error)
        self.dead.end(error)


@dataclass(slots=True, eq=False)
class Queue:
    """A queue entity."""

    options: QueueOptions
    place: Place
    sieve: Sieve
    times: Times

    @property
    def path(self) -> str:
        """Its name as it was created."""
        return self.options.name

    def check(self, messages: Sequence[Message]) -> None:
        """Refuse a send that the queue does not take."""
        options = self.options
        _check_sendable(options.name, options.status)
        limit = options.max_message_size_in_kilobytes
        check_messages(options.name, messages, max_kilobytes=limit, sessions=options.requires_session)
        _check_quota(options, self.place.size_bytes, messages)

    def admit(self, messages: Sequence[Message], now: int) -> tuple[Admission, list[int]]:
        """Take in a checked send: what to write, and each message's number (0 for a dropped duplicate)."""
        queue = self.place.main.queue
        admission, numbers = Admission(forgotten=self.sieve.forget(now)), []
        for message in messages:
            number = 0
            if self.sieve.passes(message.message_id, now, admission.seen):
                due = _due(message)
                number, row = queue.schedule(message, due, now) if due > now else queue.add(message, now)
                admission.rows.append(row)
            numbers.append(number)
        return admission, numbers


@dataclass(slots=True, eq=False)
class Subscription:
    """A subscription of a topic. Its options' `rules` are not kept up: `rules` is."""

    topic: str
    options: SubscriptionOptions
    place: Place
    rules: RuleSet
    times: Times

    @property
    def path(self) -> str:
        """Its path, as its parts were created."""
        return f"{self.topic}/subscriptions/{self.options.name}"

    def described(self) -> SubscriptionOptions:
        """Its options with the rules it has now."""
        return replace(self.options, rules=self.rules.all())

    def add(self, message: Message, now: int, *, origin: int, ttl: timedelta | None) -> Row:
        """Take in a copy of a message of the topic."""
        if self.options.requires_session and message.session_id is None:
            mark = DeadLetter(self.path, _NO_SESSION, _NO_SESSION_DESCRIPTION)
            return self.place.dead.queue.add_dead(message, now, mark, origin)
        return self.place.main.queue.add(message, now, origin=origin, ttl=ttl)[1]


@dataclass(slots=True, eq=False)
class Topic:
    """A topic: it keeps scheduled messages until they are due, and nothing else."""

    options: TopicOptions
    number: int
    schedule: TopicSchedule
    sieve: Sieve
    times: Times
    #: By lower-case name.
    subscriptions: dict[str, Subscription] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """Its name as it was created."""
        return self.options.name

    def check(self, messages: Sequence[Message]) -> None:
        """Refuse a send that the topic does not take."""
        options = self.options
        _check_sendable(options.name, options.status)
        limit = options.max_message_size_in_kilobytes
        check_messages(options.name, messages, max_kilobytes=limit, sessions=False)
        _check_quota(options, self.size_bytes, messages)

    def admit(self, messages: Sequence[Message], now: int) -> tuple[Admission, list[int]]:
        """Take in a checked send: what to write, and each message's number (0 for a dropped duplicate)."""
        admission, numbers = Admission(forgotten=self.sieve.forget(now)), []
        for message in messages:
            number = 0
            if self.sieve.passes(message.message_id, now, admission.seen):
                due = _due(message)
                if due > now:
                    number, row = self.schedule.add(message, due, now)
                    admission.rows.append(row)
                else:
                    number = self.schedule.use_number()
                    admission.rows.extend(self.copies(message, number, now))
            numbers.append(number)
        return admission, numbers

    def copies(self, message: Message, number: int, now: int) -> Iterable[Row]:
        """Give the message to every subscription that wants it; the rows to write."""
        scope = Scope(message)
        ttl = self.options.default_message_time_to_live
        return [
            subscription.add(message, now, origin=number, ttl=ttl)
            for subscription in self.subscriptions.values()
            if subscription.rules.match(scope)
        ]

    def described(self) -> TopicOptions:
        """Its options with the subscriptions it has now, by name."""
        named = sorted(self.subscriptions.items())
        return replace(self.options, subscriptions=tuple(subscription.described() for _, subscription in named))

    @property
    def size_bytes(self) -> int:
        """The size of all messages in the topic and its subscriptions."""
        held = sum(subscription.place.size_bytes for subscription in self.subscriptions.values())
        return self.schedule.size_bytes + held


type Entity = Queue | Topic | Subscription


def settings_of(options: QueueOptions | SubscriptionOptions) -> QueueSettings:
    """What of an entity's options decides over its messages."""
    return QueueSettings(
        options.lock_duration,
        options.max_delivery_count,
        options.default_message_time_to_live,
        options.dead_lettering_on_message_expiration,
        options.requires_session,
    )


def dead_letter_settings(settings: QueueSettings) -> QueueSettings:
    """A dead-letter queue's: nothing expires in it, no number of deliveries is too high, and it has no sessions."""
    return QueueSettings(settings.lock_for, None, None, dead_letter_expired=False, sessions=False)


def window_of(options: QueueOptions | TopicOptions) -> DuplicateWindow | None:
    """A new window for an entity that detects duplicates."""
    if not options.requires_duplicate_detection:
        return None
    return DuplicateWindow(options.duplicate_detection_history_time_window)


def _due(message: Message) -> int:
    return 0 if message.scheduled_enqueue_time is None else to_instant(message.scheduled_enqueue_time)


def _check_sendable(path: str, status: EntityStatus) -> None:
    if status in (EntityStatus.DISABLED, EntityStatus.SEND_DISABLED):
        raise EntityDisabled(f"{path} is {status}: nothing can be sent to it")


def _check_quota(options: QueueOptions | TopicOptions, held: int, messages: Sequence[Message]) -> None:
    if held + sum(message.size for message in messages) > options.max_size_in_megabytes * _MEGABYTE:
        raise QuotaExceeded(f"{options.name} is full: it holds {options.max_size_in_megabytes} MB at most")
