"""The guard holds requests to their time, size and rate, and asks the fallback when the first model is away."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from devhost.clock import ManualClock
from shared.contracts import Usage
from shared.errors import (
    ConfigurationError,
    ModelAnswerInvalid,
    ModelRateLimited,
    ModelRefused,
    ModelUnavailable,
    MusterError,
)
from shared.llm.guard import MAX_ANSWER_BYTES, GuardedModel, RateLimit
from shared.llm.model import ModelReply, ModelRequest
from shared.llm.scripted import ScriptedModel

REQUEST = ModelRequest(system="", user="x" * 30, max_output_tokens=50, timeout=timedelta(seconds=60))
ANSWER = ModelReply("yes", Usage(input_tokens=10, output_tokens=5, cost_usd=0.1, model="m"))
ESTIMATE = 60


def always(answer: ModelReply | MusterError) -> Callable[[ModelRequest], ModelReply | MusterError]:
    return lambda _: answer


class SlowModel:
    """Answers after some time of the clock, whatever it is asked."""

    def __init__(self, clock: ManualClock, answer: ModelReply | MusterError, *, takes: timedelta) -> None:
        self.clock, self.answer, self.takes = clock, answer, takes

    async def complete(self, request: ModelRequest) -> ModelReply:
        self.clock.advance(self.takes)
        if isinstance(self.answer, MusterError):
            raise self.answer
        return self.answer

    async def close(self) -> None:
        pass


async def test_a_request_within_its_limits_goes_to_the_first_model_and_nowhere_else() -> None:
    first, second = ScriptedModel(always(ANSWER)), ScriptedModel(always(ANSWER))
    guard = GuardedModel(first, ManualClock(), limit=RateLimit(10, 1000), fallback=second)
    assert await guard.complete(REQUEST) == ANSWER
    assert (first.requests, second.requests) == ([REQUEST], [])


@pytest.mark.parametrize("away", [ModelUnavailable("away"), ModelRateLimited("slow down")])
async def test_the_fallback_is_asked_once_when_the_first_model_is_away(away: MusterError) -> None:
    first, second = ScriptedModel(always(away)), ScriptedModel(always(ANSWER))
    assert await GuardedModel(first, ManualClock(), fallback=second).complete(REQUEST) == ANSWER
    assert (len(first.requests), len(second.requests)) == (1, 1)


@pytest.mark.parametrize("error", [ModelRefused("filtered"), ModelAnswerInvalid("empty"), ConfigurationError("no key")])
async def test_the_fallback_is_not_asked_what_the_first_model_refused_for_good(error: MusterError) -> None:
    second = ScriptedModel(always(ANSWER))
    with pytest.raises(type(error)):
        await GuardedModel(ScriptedModel(always(error)), ManualClock(), fallback=second).complete(REQUEST)
    assert second.requests == []


async def test_the_fallback_has_only_the_time_that_the_first_model_left() -> None:
    clock = ManualClock()
    first = SlowModel(clock, ModelUnavailable("away"), takes=timedelta(seconds=45))
    second = ScriptedModel(always(ANSWER))
    await GuardedModel(first, clock, fallback=second).complete(REQUEST)
    assert [request.timeout for request in second.requests] == [timedelta(seconds=15)]


async def test_no_fallback_is_asked_once_the_time_is_over() -> None:
    clock = ManualClock()
    first = SlowModel(clock, ModelUnavailable("away"), takes=timedelta(seconds=60))
    second = ScriptedModel(always(ANSWER))
    with pytest.raises(ModelUnavailable, match="away"):
        await GuardedModel(first, clock, fallback=second).complete(REQUEST)
    assert second.requests == []


async def test_without_a_fallback_the_first_models_error_is_what_is_raised() -> None:
    with pytest.raises(ModelUnavailable, match="away"):
        await GuardedModel(ScriptedModel(always(ModelUnavailable("away"))), ManualClock()).complete(REQUEST)


async def test_a_request_over_the_rate_waits_for_its_turn_and_has_the_time_that_is_left() -> None:
    clock = ManualClock()
    first = ScriptedModel(always(ANSWER))
    guard = GuardedModel(first, clock, limit=RateLimit(requests=6))
    for _ in range(6):
        await guard.complete(REQUEST)
    waiting = asyncio.create_task(guard.complete(REQUEST))
    await asyncio.sleep(0)
    assert len(first.requests) == 6
    clock.advance(timedelta(seconds=10))
    assert await waiting == ANSWER
    assert first.requests[-1].timeout == timedelta(seconds=50)


async def test_a_request_that_would_wait_too_long_is_sent_away_at_once_with_the_wait_and_takes_nothing() -> None:
    clock = ManualClock()
    first = ScriptedModel(always(ANSWER))
    guard = GuardedModel(first, clock, limit=RateLimit(requests=1))
    await guard.complete(REQUEST)
    for _ in range(3):
        with pytest.raises(ModelRateLimited) as raised:
            await guard.complete(REQUEST)
        assert raised.value.retry_after == timedelta(minutes=1)
    clock.advance(timedelta(minutes=1))
    assert await guard.complete(REQUEST) == ANSWER


async def test_tokens_that_were_set_aside_and_not_used_are_given_back() -> None:
    first = ScriptedModel(always(ANSWER))
    guard = GuardedModel(first, ManualClock(), limit=RateLimit(tokens=ESTIMATE + 15))
    await guard.complete(REQUEST)
    await guard.complete(REQUEST)
    assert len(first.requests) == 2


async def test_an_answer_over_the_limit_is_refused_and_says_what_it_used() -> None:
    long = ModelReply("x" * (MAX_ANSWER_BYTES + 1), ANSWER.usage)
    with pytest.raises(ModelAnswerInvalid) as raised:
        await GuardedModel(ScriptedModel(always(long)), ManualClock()).complete(REQUEST)
    assert raised.value.usage == ANSWER.usage


async def test_an_answer_of_exactly_the_limit_is_taken() -> None:
    longest = ModelReply("x" * MAX_ANSWER_BYTES, ANSWER.usage)
    assert await GuardedModel(ScriptedModel(always(longest)), ManualClock()).complete(REQUEST) == longest
