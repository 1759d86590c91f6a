"""What stands between agents and models: a rate limit, a longest answer, and a second model when the first is away.

Wiring: agent -> `GuardedModel` -> `OpenAIModel` of the first endpoint, and of the fallback if one is set. Nothing here
asks a model twice for one request: another attempt is the queue's business, so that each call is paid for knowingly.
"""

import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil

from shared.clock import Clock
from shared.errors import ModelAnswerInvalid, ModelRateLimited, ModelUnavailable, RetryableError
from shared.llm.model import ModelClient, ModelReply, ModelRequest
from shared.llm.rate_limit import TokenBucket

MAX_ANSWER_BYTES = 1024 * 1024
"""More than any prompt here asks for, and less than would do harm: an answer is stored, sent and shown."""

_BYTES_A_TOKEN = 3

log = logging.getLogger("muster.models")


@dataclass(frozen=True, slots=True)
class RateLimit:
    """What an endpoint grants a minute, to each instance of the app. None is no limit."""

    requests: int | None = None
    tokens: int | None = None


class GuardedModel:
    """A `ModelClient` over one endpoint, and over a second one for the requests that the first cannot take now."""

    def __init__(
        self, first: ModelClient, clock: Clock, *, limit: RateLimit | None = None, fallback: ModelClient | None = None
    ) -> None:
        """`limit` holds for `first`; `fallback` is asked when `first` raises a `RetryableError`."""
        self._first = first
        self._fallback = fallback
        self._clock = clock
        self._limiter = _Limiter(limit or RateLimit(), clock.now())

    async def complete(self, request: ModelRequest) -> ModelReply:
        """One answer within `request.timeout` in all; see `ModelClient.complete`.

        Raises `ModelRateLimited` at once, with the wait, when the rate limit would keep the request waiting for more
        than half of its time, and `ModelAnswerInvalid` for an answer over `MAX_ANSWER_BYTES`.
        """
        ends = self._clock.now() + request.timeout
        try:
            reply = await self._ask_first(request, ends)
        except RetryableError as error:
            left = ends - self._clock.now()
            if self._fallback is None or left <= timedelta(0):
                raise
            log.warning("the fallback model is asked: %s", error)
            reply = await self._fallback.complete(replace(request, timeout=left))
        return _checked(reply)

    async def close(self) -> None:
        """Let go of the connections of both."""
        await self._first.close()
        if self._fallback is not None:
            await self._fallback.close()

    async def _ask_first(self, request: ModelRequest, ends: datetime) -> ModelReply:
        now = self._clock.now()
        tokens = _estimate(request)
        wait = self._limiter.take(tokens, now)
        if wait > request.timeout / 2:
            self._limiter.give_back(1, tokens, now)
            raise ModelRateLimited("this app's own limit for the model is used up", retry_after=wait)
        if wait:
            await self._clock.sleep_until(now + wait)
        left = ends - self._clock.now()
        if left <= timedelta(0):
            raise ModelUnavailable("its time was over before the model was asked")
        reply = await self._first.complete(replace(request, timeout=left))
        used = reply.usage.input_tokens + reply.usage.output_tokens
        # A reply that does not say what it used is taken to have used what was estimated.
        self._limiter.give_back(0, tokens - used if used else 0, self._clock.now())
        return reply


class _Limiter:
    """The buckets of one endpoint. What is not limited has none."""

    def __init__(self, limit: RateLimit, now: datetime) -> None:
        self._requests = TokenBucket.full(limit.requests, now) if limit.requests else None
        self._tokens = TokenBucket.full(limit.tokens, now) if limit.tokens else None

    def take(self, tokens: int, now: datetime) -> timedelta:
        waits = [
            bucket.take(amount, now)
            for bucket, amount in ((self._requests, 1), (self._tokens, tokens))
            if bucket is not None
        ]
        return max(waits, default=timedelta(0))

    def give_back(self, requests: int, tokens: int, now: datetime) -> None:
        if self._requests is not None:
            self._requests.give_back(requests, now)
        if self._tokens is not None:
            self._tokens.give_back(tokens, now)


def _estimate(request: ModelRequest) -> int:
    """The tokens that a request may use: its text, and the longest answer it allows."""
    return ceil(len((request.system + request.user).encode()) / _BYTES_A_TOKEN) + request.max_output_tokens


def _checked(reply: ModelReply) -> ModelReply:
    size = len(reply.text.encode(errors="replace"))
    if size > MAX_ANSWER_BYTES:
        raise ModelAnswerInvalid(
            f"the model answered with {size} bytes; {MAX_ANSWER_BYTES} are the most that is taken", usage=reply.usage
        )
    return reply
