"""The scheduled messages of a topic: kept under the topic's numbers until they are due, then given to subscriptions.

Their bodies lie in the file; their fields and properties are kept in memory, since the rules that decide at the due
time read them.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from devhost.broker.context import Context
from devhost.broker.errors import MessageNotFound
from devhost.broker.instants import NEVER
from devhost.broker.journal import Row, new_row
from devhost.broker.ledger import Ledger
from devhost.broker.lifecycle import Event, Status, after
from devhost.broker.model import Message
from devhost.broker.schema import message_key

type Publish = Callable[[Message, int, int], Iterable[Row]]


class TopicSchedule:
    """What waits in the topic at `path`, and the topic's sequence numbers."""

    def __init__(self, context: Context, number: int, path: str) -> None:
        #: Gives a message with its number, at a time, to the subscriptions; returns their rows.
        self.publish: Publish = lambda _message, _number, _now: ()
        self.next_number = 1
        self._context = context
        self._number = number
        self._path = path
        self._ledger = Ledger()
        self._messages: dict[int, Message] = {}

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def size_bytes(self) -> int:
        """The size of all scheduled messages."""
        return self._ledger.size_bytes

    def use_number(self) -> int:
        """Spend a sequence number of the topic."""
        number = self.next_number
        self.next_number += 1
        self._context.journal.count_up(self._number, self.next_number)
        return number

    def add(self, message: Message, due: int, now: int) -> tuple[int, Row]:
        """Keep a message until `due`; its number, and the row to write."""
        number = self.use_number()
        self.restore(number, message, due)
        return number, new_row(message_key(self._number, number), message, origin=number, at=now, due=due)

    def restore(self, number: int, message: Message, due: int) -> None:
        """Put a message in its place, without writing."""
        self._ledger.add(number, after(Event.SCHEDULE, Status.ABSENT), size=message.size, due=due)
        self._messages[number] = replace(message, content=b"")
        self._context.agenda.note(self, due)

    def cancel(self, numbers: Sequence[int]) -> asyncio.Future[None]:
        """Remove scheduled messages, all or none; `MessageNotFound`."""
        wanted = list(dict.fromkeys(numbers))
        for number in wanted:
            if number not in self._messages:
                raise MessageNotFound(f"{self._path} has no scheduled message {number}")
        for number in wanted:
            self._ledger.apply(Event.CANCEL, number)
            del self._messages[number]
        return self._context.journal.delete([message_key(self._number, number) for number in wanted])

    def earliest(self) -> int:
        """A time before which nothing falls due."""
        return self._ledger.earliest()

    def _first_due(self) -> int:
        return min((self._ledger.due(number) for number in self._messages), default=NEVER)

    def run_due(self, until: int) -> None:
        """Give what is due first, if at or before `until`, to the subscriptions.

        What comes later is left to the next call: something may happen in a subscription before.
        """
        for due, number in self._ledger.due_until(min(until, self._first_due())):
            self._ledger.apply(Event.COME_DUE, number)
            rows = self.publish(self._messages.pop(number), number, due)
            copies = [(row.key, row.enqueued_number, row.expires_at, row.dead_letter) for row in rows]
            self._context.journal.activate(message_key(self._number, number), copies, due)
