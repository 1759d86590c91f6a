"""The one call that agents make of a language model."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from shared.contracts import Usage


@dataclass(frozen=True, slots=True)
class AnswerFormat:
    """What an answer has to be: JSON after a JSON schema, both under a name."""

    name: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """What a model is asked. `timeout` bounds the whole call, `max_output_tokens` the answer.

    With a `format` the answer's text is JSON after it, as far as the model keeps to it; without, it is free text.
    """

    system: str
    user: str
    max_output_tokens: int
    timeout: timedelta
    format: AnswerFormat | None = None


@dataclass(frozen=True, slots=True)
class ModelReply:
    """What a model answered, and what that used."""

    text: str
    usage: Usage


class ModelClient(Protocol):
    """Answers a request once. Retries are left to the queue, so that each call is paid for knowingly."""

    async def complete(self, request: ModelRequest) -> ModelReply:
        """One answer.

        Raises `ModelUnavailable` and `ModelRateLimited` (retryable), `ModelRefused`, `ModelAnswerInvalid` (an empty
        or cut-off answer) and `ConfigurationError` (terminal). An answer that was paid for and cannot be used says
        in its error what it used.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
