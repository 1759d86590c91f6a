"""What the request handlers share: the request, the reply, and reading a request's fields."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from uuid import UUID

from devhost.amqp.conditions import AmqpError
from devhost.amqp.sessions import HeldSessions
from devhost.broker.broker import Broker
from devhost.broker.model import SessionLock

ARGUMENT_ERROR = "com.microsoft:argument-error"


@dataclass(frozen=True, slots=True)
class Request:
    """One request on an entity's management node."""

    broker: Broker
    held: HeldSessions
    entity: str
    body: dict[str, object]

    def text(self, name: str) -> str:
        """A field that must be text."""
        value = self.body.get(name)
        if not isinstance(value, str):
            raise AmqpError(ARGUMENT_ERROR, f"the request's {name!r} must be text")
        return value

    def optional_text(self, name: str) -> str | None:
        """A field that is text or absent."""
        return None if self.body.get(name) is None else self.text(name)

    def number(self, name: str, default: int | None = None) -> int:
        """A field that must be a whole number."""
        value = self.body.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool):
            raise AmqpError(ARGUMENT_ERROR, f"the request's {name!r} must be a whole number")
        return value

    def numbers(self, name: str) -> list[int]:
        """A field that must be a list of whole numbers."""
        items = self._items(name)
        numbers = [item for item in items if isinstance(item, int) and not isinstance(item, bool)]
        if len(numbers) != len(items):
            raise AmqpError(ARGUMENT_ERROR, f"the request's {name!r} must be whole numbers")
        return numbers

    def tokens(self, name: str) -> list[UUID]:
        """A field that must be a list of lock tokens; some clients write them as text."""
        try:
            return [item if isinstance(item, UUID) else UUID(str(item)) for item in self._items(name)]
        except ValueError as error:
            raise AmqpError(ARGUMENT_ERROR, f"the request's {name!r} must be UUIDs") from error

    def session(self) -> SessionLock | None:
        """The session the request is about, None when it names none; `SessionLockLost` when it is not held."""
        session_id = self.optional_text("session-id")
        return None if session_id is None else self.held.find(self.entity, session_id)

    def _items(self, name: str) -> list[object]:
        items = self.body.get(name)
        if not isinstance(items, list) or not items:
            raise AmqpError(ARGUMENT_ERROR, f"the request's {name!r} must be a list that is not empty")
        return items


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a request; `condition` is set when it is an error."""

    status: int = 200
    body: object = field(default_factory=dict)
    description: str = "OK"
    condition: str | None = None


type Operation = Callable[[Request], Awaitable[Reply]]
