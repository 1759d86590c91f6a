"""What a client's decision about a message is in the broker's words: one table for links, one for requests.

Source: the Service Bus AMQP guide, dispositions and `com.microsoft:update-disposition`.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from devhost.amqp.conditions import INVALID_FIELD, AmqpError
from devhost.amqp.engine_outgoing import Outcome, OutcomeKind
from devhost.amqp.messages import scalar
from devhost.broker.broker import Broker
from devhost.broker.model import Scalar, SessionLock

_REASON = "DeadLetterReason"
_DESCRIPTION = "DeadLetterErrorDescription"


@dataclass(frozen=True, slots=True)
class Held:
    """A locked message, and what the client says about it."""

    entity: str
    token: UUID
    session: SessionLock | None
    properties: Mapping[str, Scalar] = field(default_factory=dict)
    reason: str | None = None
    description: str | None = None


type Settle = Callable[[Broker, Held], Awaitable[None]]


async def _complete(broker: Broker, held: Held) -> None:
    await broker.complete(held.entity, held.token, session=held.session)


async def _abandon(broker: Broker, held: Held) -> None:
    await broker.abandon(held.entity, held.token, held.properties, session=held.session)


async def _defer(broker: Broker, held: Held) -> None:
    await broker.defer(held.entity, held.token, held.properties, session=held.session)


async def _dead_letter(broker: Broker, held: Held) -> None:
    await broker.dead_letter(
        held.entity,
        held.token,
        reason=held.reason,
        description=held.description,
        properties=held.properties,
        session=held.session,
    )


#: The words of `com.microsoft:update-disposition`, spelled as the service spells them.
BY_STATUS: Mapping[str, Settle] = {
    "completed": _complete,
    "abandoned": _abandon,
    "defered": _defer,
    "suspended": _dead_letter,
}


async def apply_outcome(
    broker: Broker, entity: str, token: UUID, outcome: Outcome, session: SessionLock | None
) -> None:
    """Settle a message as a link's disposition says. Raises `BrokerError` and, for a bad property, `CodecError`."""
    properties = {name: scalar(name, value) for name, value in outcome.details.items()}
    if outcome.kind is OutcomeKind.ACCEPTED:
        await _complete(broker, Held(entity, token, session))
    elif outcome.kind is OutcomeKind.RELEASED:
        await broker.release(entity, token, session=session)
    elif outcome.kind is OutcomeKind.MODIFIED:
        settle = _defer if outcome.undeliverable_here else _abandon
        await settle(broker, Held(entity, token, session, properties))
    else:
        reason, description = properties.pop(_REASON, None), properties.pop(_DESCRIPTION, None)
        await _dead_letter(
            broker,
            Held(
                entity,
                token,
                session,
                properties,
                reason=None if reason is None else str(reason),
                description=outcome.description if description is None else str(description),
            ),
        )


async def apply_status(broker: Broker, status: object, held: Held) -> None:
    """Settle a message as a request's disposition status says. Raises `AmqpError` for an unknown status."""
    settle = BY_STATUS.get(str(status))
    if settle is None:
        raise AmqpError(INVALID_FIELD, f"{status!r} is not a disposition status ({', '.join(BY_STATUS)})")
    await settle(broker, held)
