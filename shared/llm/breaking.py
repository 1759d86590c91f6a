"""A model endpoint behind its circuit: while that is open, nobody waits for an endpoint that does not answer.

What counts against an endpoint is that it cannot be reached, times out or answers 5xx. A rate limit says itself how
long to wait, and a refusal is the request's own fault; both show that the endpoint is there.
"""

import asyncio
from collections.abc import Callable

from shared.breaker import CircuitBreaker, refusal
from shared.circuit import Refused
from shared.clock import Clock
from shared.errors import CircuitIsOpen, ModelUnavailable
from shared.llm.model import ModelClient, ModelReply, ModelRequest


class CircuitedModel:
    """A `ModelClient` that asks `model` while its circuit, which `name` gives, lets calls through."""

    def __init__(self, model: ModelClient, circuits: CircuitBreaker, clock: Clock, name: Callable[[], str]) -> None:
        self._model = model
        self._circuits = circuits
        self._clock = clock
        self._name = name

    async def complete(self, request: ModelRequest) -> ModelReply:
        """One answer; see `ModelClient.complete`.

        Raises `CircuitIsOpen` (retryable), with the time until the endpoint is asked again.
        """
        name = self._name()
        answer = await self._circuits.admit(name)
        if isinstance(answer, Refused):
            wait = answer.retry_at - self._clock.now() if answer.retry_at is not None else None
            raise CircuitIsOpen(refusal(name, answer).message, retry_after=wait)
        try:
            reply = await self._model.complete(request)
        except ModelUnavailable as error:
            await self._circuits.failed(name, f"{type(error).__name__}: {error}")
            raise
        except asyncio.CancelledError:
            # Of many calls that are called off nothing can be learned; but somebody waits for what a probe says.
            if answer.is_probe:
                await self._circuits.failed(name, "the probe was called off before it was answered")
            raise
        except Exception:
            # It answered, and what it said is the caller's business.
            await self._circuits.succeeded(name)
            raise
        await self._circuits.succeeded(name)
        return reply

    async def close(self) -> None:
        """Let go of the model's connections."""
        await self._model.close()
