"""What the broker's errors are called on the wire: one table of AMQP error conditions and status codes.

Source: "Exceptions in Azure Service Bus" and the condition names in Microsoft's own clients.
"""

from dataclasses import dataclass

from devhost.amqp.values import CodecError
from devhost.broker import errors

NOT_FOUND = "amqp:not-found"
NOT_ALLOWED = "amqp:not-allowed"
NOT_IMPLEMENTED = "amqp:not-implemented"
INTERNAL_ERROR = "amqp:internal-error"
INVALID_FIELD = "amqp:invalid-field"
DECODE_ERROR = "amqp:decode-error"
RESOURCE_LIMIT_EXCEEDED = "amqp:resource-limit-exceeded"
MESSAGE_SIZE_EXCEEDED = "amqp:link:message-size-exceeded"
FRAMING_ERROR = "amqp:connection:framing-error"
CONNECTION_FORCED = "amqp:connection:forced"
TIMEOUT = "com.microsoft:timeout"
MESSAGE_LOCK_LOST = "com.microsoft:message-lock-lost"
SESSION_LOCK_LOST = "com.microsoft:session-lock-lost"
DEAD_LETTER = "com.microsoft:dead-letter"


@dataclass(frozen=True, slots=True)
class Terms:
    """An error as links say it (`condition`) and as responses do (`status` too)."""

    condition: str
    status: int


class AmqpError(Exception):
    """An error found in this layer, with the terms it is answered with."""

    def __init__(self, condition: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.terms = Terms(condition, status)


#: The first type that an error is an instance of gives its terms.
_TABLE: dict[type[Exception], Terms] = {
    errors.EntityNotFound: Terms(NOT_FOUND, 404),
    errors.EntityExists: Terms("com.microsoft:entity-already-exists", 409),
    errors.EntityDisabled: Terms("com.microsoft:entity-disabled", 403),
    errors.QuotaExceeded: Terms(RESOURCE_LIMIT_EXCEEDED, 403),
    errors.MessageTooLarge: Terms(MESSAGE_SIZE_EXCEEDED, 413),
    errors.MessageNotFound: Terms("com.microsoft:message-not-found", 404),
    errors.MessageLockLost: Terms(MESSAGE_LOCK_LOST, 410),
    errors.SessionLockLost: Terms(SESSION_LOCK_LOST, 410),
    errors.SessionCannotBeLocked: Terms("com.microsoft:session-cannot-be-locked", 409),
    errors.InvalidOperation: Terms(NOT_ALLOWED, 400),
    errors.ArgumentError: Terms("com.microsoft:argument-error", 400),
    errors.BrokerClosed: Terms("com.microsoft:server-busy", 503),
    errors.BrokerError: Terms(INTERNAL_ERROR, 500),
    CodecError: Terms(DECODE_ERROR, 400),
    TimeoutError: Terms(TIMEOUT, 408),
}

#: Everything `terms_of` knows; whatever else is raised is a defect of ours.
EXPECTED = (AmqpError, errors.BrokerError, CodecError, TimeoutError)


def description_of(error: BaseException) -> str:
    """The text an error is answered with. Some clients know a missing entity by the words of the service alone."""
    if isinstance(error, errors.EntityNotFound):
        return f"The messaging entity that was asked for could not be found: {error}"
    return str(error) or type(error).__name__


def terms_of(error: BaseException) -> Terms:
    """The terms an error is answered with; anything unknown is an internal error."""
    if isinstance(error, AmqpError):
        return error.terms
    return next((terms for kind, terms in _TABLE.items() if isinstance(error, kind)), Terms(INTERNAL_ERROR, 500))
