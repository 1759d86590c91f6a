"""Every error of the app in one tree. Whether a failure is worth another attempt is its type, never a flag.

MusterError
├── RetryableError           another attempt may succeed; may say how long to wait
│   ├── ModelUnavailable     the model timed out, could not be reached, or answered 5xx
│   ├── ModelRateLimited     the model answered 429
│   ├── CircuitIsOpen        who is called failed several times in a row and is given a rest
│   ├── AgentTimedOut        an agent took longer than one attempt may
│   ├── StoreUnavailable     the state or artifact store did not answer
│   ├── BusUnavailable       Service Bus did not answer
│   ├── IdentityUnavailable  Entra ID did not answer
│   └── TaskHubUnavailable   the task hub did not answer
└── TerminalError            another attempt would fail in the same way
    ├── ConfigurationError   a setting is missing or contradicts another
    ├── InvalidRequest       somebody's input breaks its contract; names the field
    ├── InvalidMessage       a Service Bus message breaks its contract
    ├── NotFound             the thing named does not exist
    ├── Conflict             the thing named exists already, and is another
    ├── IllegalTransition    a status table forbids the move
    ├── ClaimLost            another runner holds the step now
    ├── NoUsableAnswer       the model was asked and gave nothing to work with; says what that used
    │   ├── ModelRefused         it refused the request (4xx, content filter)
    │   └── ModelAnswerInvalid   it answered, and not with what was asked for
    ├── AgentOutputInvalid   an agent returned what is no JSON, or too much of it
    ├── BudgetExhausted      another attempt could cost more than was set aside for its step
    ├── AgentFailed          an agent's step ended without success, and its message belongs with the dead letters
    ├── MessageTooLarge      a message is over the queue's limit
    ├── DocumentTooLarge     a document is larger than the state store takes
    ├── StateCorrupted       a stored document is not one that this app can read
    ├── ArtifactCorrupted    an artifact's bytes are not those that were stored
    └── ArtifactTooLarge     an artifact is over the most that one may have
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.contracts import Usage


class MusterError(Exception):
    """The root of the tree."""


class RetryableError(MusterError):
    """Another attempt may succeed. `retry_after` is the wait the other side asked for, if it did."""

    def __init__(self, message: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ModelUnavailable(RetryableError):
    """The model timed out, could not be reached, or answered 5xx."""


class ModelRateLimited(RetryableError):
    """The model answered 429."""


class CircuitIsOpen(RetryableError):
    """Who is called failed several times in a row, and is given a rest."""


class AgentTimedOut(RetryableError):
    """An agent took longer than one attempt may."""


class StoreUnavailable(RetryableError):
    """The state or artifact store did not answer."""


class BusUnavailable(RetryableError):
    """Service Bus did not answer."""


class IdentityUnavailable(RetryableError):
    """Entra ID did not answer."""


class TaskHubUnavailable(RetryableError):
    """The task hub did not answer."""


class TerminalError(MusterError):
    """Another attempt would fail in the same way."""


class ConfigurationError(TerminalError):
    """A setting is missing or contradicts another; the message names it."""


class InvalidRequest(TerminalError):
    """Somebody's input breaks its contract. `field` is the dotted path of the offending field, if one is to blame."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class InvalidMessage(TerminalError):
    """A Service Bus message breaks its contract."""


class NotFound(TerminalError):
    """The thing named does not exist."""


class Conflict(TerminalError):
    """The thing named exists already, and is another."""


class IllegalTransition(TerminalError):
    """A status table forbids the move."""


class ClaimLost(TerminalError):
    """Another runner holds the step now, so this one's result is not recorded."""


class NoUsableAnswer(TerminalError):
    """The model gave nothing to work with. `usage` is what that used, if it answered at all: it is paid for."""

    def __init__(self, message: str, *, usage: Usage | None = None) -> None:
        super().__init__(message)
        self.usage = usage


class ModelRefused(NoUsableAnswer):
    """The model refused the request."""


class ModelAnswerInvalid(NoUsableAnswer):
    """The model answered, and not with what was asked for."""


class AgentOutputInvalid(TerminalError):
    """An agent returned what is no JSON, or too much of it."""


class BudgetExhausted(TerminalError):
    """Another attempt could cost more than was set aside for its step."""


class AgentFailed(TerminalError):
    """An agent's step ended without success, and its message belongs with the dead letters.

    `cause` is the type of the error that it ended with.
    """

    def __init__(self, message: str, *, cause: str | None = None) -> None:
        super().__init__(message)
        self.cause = cause


class MessageTooLarge(TerminalError):
    """A message is over the queue's limit."""


class DocumentTooLarge(TerminalError):
    """A document is larger than the state store takes."""


class StateCorrupted(TerminalError):
    """A stored document is not one that this app can read: it was changed by hand, or by a later version."""


class ArtifactCorrupted(TerminalError):
    """An artifact's bytes are not those that were stored."""


class ArtifactTooLarge(TerminalError):
    """An artifact is over the most that one may have."""
