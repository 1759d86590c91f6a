"""The embedded twin of the message bus: queues and topics in memory, with duplicate detection and the size limit."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from shared.errors import MessageTooLarge, NotFound
from shared.messaging.bus import DeadLetter, HandleDead, OutgoingMessage

MAX_MESSAGE_BYTES = 256 * 1024


type Choice = Callable[[OutgoingMessage], bool]


class MemoryBus:
    """Queues as lists. `taken(queue)` empties one, as a consumer would.

    `topics` maps a topic to its subscriptions, and each to what it chooses; a subscription is the queue
    `topic/subscription`.
    """

    def __init__(self, queues: Iterable[str], topics: Mapping[str, Mapping[str, Choice]] | None = None) -> None:
        self._topics = dict(topics or {})
        subscriptions = [f"{topic}/{name}" for topic, chosen in self._topics.items() for name in chosen]
        self._queues: dict[str, list[OutgoingMessage]] = {queue: [] for queue in [*queues, *subscriptions]}
        self._dead: dict[str, dict[int, DeadLetter]] = {queue: {} for queue in self._queues}
        self._last_number = 0
        self._seen: set[tuple[str, str]] = set()

    async def send(self, queue: str, messages: Sequence[OutgoingMessage]) -> None:
        """Append what is new; see `MessageBus.send`."""
        if queue not in self._queues:
            raise NotFound(f"there is no queue {queue}")
        self._queues[queue] += self._new(queue, messages)

    async def publish(self, topic: str, messages: Sequence[OutgoingMessage]) -> None:
        """Append what is new to the subscriptions that choose it; see `MessageBus.publish`."""
        if topic not in self._topics:
            raise NotFound(f"there is no topic {topic}")
        new = self._new(topic, messages)
        for name, chooses in self._topics[topic].items():
            self._queues[f"{topic}/{name}"] += filter(chooses, new)

    def _new(self, entity: str, messages: Sequence[OutgoingMessage]) -> list[OutgoingMessage]:
        for message in messages:
            if len(message.body) > MAX_MESSAGE_BYTES:
                raise MessageTooLarge(f"message {message.message_id} is {len(message.body)} bytes, over 256 KB")
        new: list[OutgoingMessage] = []
        for message in messages:
            if (entity, message.message_id) not in self._seen:
                self._seen.add((entity, message.message_id))
                new.append(message)
        return new

    def taken(self, queue: str) -> list[OutgoingMessage]:
        """Remove and return everything in `queue`, oldest first."""
        waiting, self._queues[queue] = self._queues[queue], []
        return waiting

    def kill(self, entity: str, message: OutgoingMessage, reason: str = "MaxDeliveryCountExceeded") -> DeadLetter:
        """Make `message` a dead letter of `entity`, as a broker would after it was delivered in vain; for tests."""
        self._last_number += 1
        dead = DeadLetter(
            entity=entity,
            sequence_number=self._last_number,
            body=message.body,
            message_id=message.message_id,
            correlation_id=message.correlation_id,
            label=message.label,
            to=message.to,
            content_type=message.content_type,
            traceparent=message.traceparent,
            properties=message.properties,
            reason=reason,
            description=None,
            enqueued_at=message.enqueue_at,
            deliveries=3,
        )
        self._dead[entity][self._last_number] = dead
        return dead

    async def peek_dead(self, entity: str, *, after: int = 0, limit: int = 100) -> Sequence[DeadLetter]:
        """What lies there; see `MessageBus.peek_dead`."""
        return [dead for number, dead in self._dead_of(entity).items() if number > after][:limit]

    async def take_dead(self, entity: str, numbers: Collection[int], handle: HandleDead) -> frozenset[int]:
        """Handle what lies there; see `MessageBus.take_dead`."""
        lying = self._dead_of(entity)
        there = sorted(set(numbers) & set(lying))
        for number in there:
            if await handle(lying[number]):
                del lying[number]
        return frozenset(numbers) - frozenset(there)

    def _dead_of(self, entity: str) -> dict[int, DeadLetter]:
        if entity not in self._queues:
            raise NotFound(f"there is no queue or subscription {entity}")
        return self._dead[entity]

    async def close(self) -> None:
        """Nothing is held open."""
