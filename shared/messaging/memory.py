"""The embedded twin of the message bus: queues and topics in memory, with duplicate detection and the size limit."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from shared.errors import MessageTooLarge, NotFound
from shared.messaging.bus import OutgoingMessage

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

    async def close(self) -> None:
        """Nothing is held open."""
