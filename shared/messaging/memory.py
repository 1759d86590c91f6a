"""The embedded twin of the message bus: queues in memory, with duplicate detection and the size limit."""

from collections.abc import Iterable, Sequence

from shared.errors import MessageTooLarge, NotFound
from shared.messaging.bus import OutgoingMessage

MAX_MESSAGE_BYTES = 256 * 1024


class MemoryBus:
    """Queues as lists. `taken(queue)` empties one, as a consumer would."""

    def __init__(self, queues: Iterable[str]) -> None:
        self._queues: dict[str, list[OutgoingMessage]] = {queue: [] for queue in queues}
        self._seen: set[tuple[str, str]] = set()

    async def send(self, queue: str, messages: Sequence[OutgoingMessage]) -> None:
        """Append what is new; see `MessageBus.send`."""
        if queue not in self._queues:
            raise NotFound(f"there is no queue {queue}")
        for message in messages:
            if len(message.body) > MAX_MESSAGE_BYTES:
                raise MessageTooLarge(f"message {message.message_id} is {len(message.body)} bytes, over 256 KB")
        for message in messages:
            if (queue, message.message_id) not in self._seen:
                self._seen.add((queue, message.message_id))
                self._queues[queue].append(message)

    def taken(self, queue: str) -> list[OutgoingMessage]:
        """Remove and return everything in `queue`, oldest first."""
        waiting, self._queues[queue] = self._queues[queue], []
        return waiting

    async def close(self) -> None:
        """Nothing is held open."""
