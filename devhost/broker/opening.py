"""Starting a broker from its file: entities, messages and windows are taken up, then the topology's changes made.

What was locked is waiting again, its delivery counted; a message whose deliveries are used up that way goes to the
dead-letter queue. An entity that the topology declares differently than the last time follows the topology; one
changed only by administration stays as it is; one that the topology no longer names stays too, and is reported.
"""

import sqlite3
from dataclasses import replace
from pathlib import Path

from devhost.broker import records
from devhost.broker.catalog import Catalog, normal
from devhost.broker.codec import decode_message
from devhost.broker.duplicates import DuplicateWindow
from devhost.broker.entities import Queue, Subscription, Topic
from devhost.broker.errors import InvalidOperation, StoreUnreadable, TopologyError
from devhost.broker.lifecycle import RESTORED_AS
from devhost.broker.model import MessageState, Recovered
from devhost.broker.queue import MessageQueue
from devhost.broker.records import Options, encode_options
from devhost.broker.schema import key_range, split_key
from devhost.broker.topology import QueueOptions, SubscriptionOptions, TopicOptions, Topology


class Opening:
    """Fills `catalog` from the file behind `connection`, which nobody else uses meanwhile."""

    def __init__(self, catalog: Catalog, connection: sqlite3.Connection) -> None:
        self._catalog = catalog
        self._connection = connection
        self._declared: dict[str, str | None] = {}
        self._named: set[str] = set()

    def take_up_from(self, path: Path) -> Recovered:
        """Restore what the file at `path` holds; `StoreUnreadable`. Writes only the burial of what is used up."""
        try:
            return self._take_up()
        except (sqlite3.Error, ValueError, TypeError, KeyError) as error:
            raise StoreUnreadable(f"{path} is damaged: {error!r}") from error

    def _take_up(self) -> Recovered:
        found = list(records.load(self._connection))
        self._catalog.last_number = records.highest_number(self._connection)
        next_numbers = records.next_numbers(self._connection)
        for record in found:
            self._declared[record.path] = record.declared
            entity = self._catalog.put(record)
            if isinstance(entity, Topic):
                entity.schedule.next_number = next_numbers[record.number]
                self._restore_schedule(entity)
            else:
                for dispatcher in (entity.place.main, entity.place.dead):
                    dispatcher.queue.next_number = next_numbers[dispatcher.queue.number]
            if not isinstance(entity, Subscription):
                self._restore_window(record.number, entity)
        messages, exhausted = self._restore_messages()
        for queue, number in exhausted:
            queue.bury_exhausted(number)
        return Recovered(len(found), messages, len(exhausted))

    def follow(self, topology: Topology, now: int) -> tuple[str, ...]:
        """Make the topology's new and changed entities; the paths of those it no longer names."""
        for queue in topology.queues:
            self._follow(normal(queue.name), queue, now)
        for topic in topology.topics:
            path = normal(topic.name)
            self._follow(path, replace(topic, subscriptions=()), now)
            for subscription in topic.subscriptions:
                sub_path = f"{path}/subscriptions/{subscription.name.lower()}"
                self._follow(sub_path, subscription, now, topic.name)
        return tuple(
            sorted(path for path, text in self._declared.items() if text is not None and path not in self._named)
        )

    def _restore_messages(self) -> tuple[int, list[tuple[MessageQueue, int]]]:
        queues = {
            dispatcher.queue.number: dispatcher.queue
            for place in self._catalog.places()
            for dispatcher in (place.main, place.dead)
        }
        rows = self._connection.execute(
            "SELECT m.key,m.state,m.due_at,m.expires_at,m.size,m.session_id,coalesce(d.count,0)"
            " FROM messages m LEFT JOIN deliveries d ON d.key=m.key ORDER BY m.key"
        )
        count, exhausted = 0, []
        for key, state, due_at, expires_at, size, session_id, deliveries in rows:
            count += 1
            number, sequence = split_key(key)
            queue = queues.get(number)
            if queue is None:
                continue  # A topic's scheduled message, restored with its topic.
            shown = MessageState(state)
            due = {MessageState.ACTIVE: expires_at, MessageState.SCHEDULED: due_at}.get(shown)
            times = {"expires": expires_at} if due is None else {"expires": expires_at, "due": due}
            queue.restore(sequence, RESTORED_AS[shown], size, session_id, deliveries=deliveries, **times)
            limit = queue.settings.max_deliveries
            if limit is not None and deliveries >= limit and shown is MessageState.ACTIVE:
                exhausted.append((queue, sequence))
        return count, exhausted

    def _restore_schedule(self, topic: Topic) -> None:
        rows = self._connection.execute(
            "SELECT key,due_at,size,session_id,header,properties FROM messages WHERE key BETWEEN ? AND ?",
            key_range(topic.number),
        )
        for key, due, size, session_id, header, properties in rows:
            message = decode_message(header, properties, session_id=session_id, size=size, content=b"")
            topic.schedule.restore(split_key(key)[1], message, due)

    def _restore_window(self, number: int, entity: Queue | Topic) -> None:
        if not entity.options.requires_duplicate_detection:
            return
        rows = self._connection.execute(
            "SELECT key,digest,at FROM seen WHERE key BETWEEN ? AND ? ORDER BY key", key_range(number)
        )
        seen = ((split_key(key)[1], digest, at) for key, digest, at in rows)
        entity.sieve.window = DuplicateWindow(entity.options.duplicate_detection_history_time_window, seen)

    def _follow(self, path: str, options: Options, now: int, topic: str = "") -> None:
        if path in self._named:
            raise TopologyError(f"the topology names {path} twice")
        self._named.add(path)
        text = encode_options(options)
        if path not in self._declared:
            self._create(options, now, topic)
        elif self._declared[path] != text:
            try:
                self._update(options, now, text, topic)
            except InvalidOperation as error:
                raise TopologyError(f"{error}; empty or delete it first") from error

    def _create(self, options: Options, now: int, topic: str) -> None:
        match options:
            case QueueOptions():
                self._catalog.create_queue(options, now, declared=True)
            case TopicOptions():
                self._catalog.create_topic(options, now, declared=True)
            case SubscriptionOptions():
                self._catalog.create_subscription(topic, options, now, declared=True)

    def _update(self, options: Options, now: int, declared: str, topic: str) -> None:
        match options:
            case QueueOptions():
                self._catalog.update_queue(options, now, declared)
            case TopicOptions():
                self._catalog.update_topic(options, now, declared)
            case SubscriptionOptions():
                self._catalog.update_subscription(topic, options, now, declared)
