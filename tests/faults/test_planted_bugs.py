"""Bugs that are planted in the app are caught by the promises that fault plans are judged by, within some plans.

Each is passed in where the app is put together; the same plans without it are survived.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, cast

import pytest

from agents.delivery import Delivery, QueueConsumer
from shared.contracts import AgentResult, AgentTask, RunResult, Usage
from shared.errors import ClaimLost, RetryableError
from shared.llm.model import ModelClient, ModelReply, ModelRequest
from shared.messaging.bus import MessageBus, OutgoingMessage
from shared.state.decisions import Busy, ClaimDecision, Claimed, ClaimRequest, Finished
from shared.state.documents import Attempt, RunDocument
from shared.state.store import StateStore
from shared.status import RunStatus, StepStatus, run_is_over
from tests.support.fault_plans.app import Parts
from tests.support.fault_plans.plan import fault_plan
from tests.support.fault_plans.verdict import verdict

pytestmark = pytest.mark.filterwarnings("ignore:azure.functions df_loads was called:DeprecationWarning")

MOST_PLANS = 300


class Faulty:
    """One of the app's outside things with a bug in it; what is not overridden is sound."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


# -- the claim ----------------------------------------------------------------------------------------------------


class NoClaim(Faulty):
    """Everybody who asks for a step gets it."""

    async def claim_step(self, request: ClaimRequest) -> ClaimDecision:
        decision: ClaimDecision = await self._inner.claim_step(request)
        if not isinstance(decision, Busy | Finished):
            return decision
        record = await self._inner.read_run(request.task_id)
        found = next(step for step in record.steps if step.step_id == request.step_id)
        return Claimed(found.model_copy(update={"owner": request.owner, "result": None, "attempts": ()}))

    async def record_step(self, *given: Any, **named: Any) -> None:
        await _unless_lost(self._inner.record_step(*given, **named))

    async def release_step(self, *given: Any, **named: Any) -> None:
        await _unless_lost(self._inner.release_step(*given, **named))

    async def renew_step(self, *given: Any, **named: Any) -> None:
        await _unless_lost(self._inner.renew_step(*given, **named))


async def _unless_lost(write: Any) -> None:
    try:
        await write
    except ClaimLost:
        return


class ImpatientClaim(Faulty):
    """A claim is taken over while its owner may still be at work."""

    async def claim_step(self, request: ClaimRequest) -> ClaimDecision:
        later = request.now + timedelta(seconds=90)
        decision: ClaimDecision = await self._inner.claim_step(replace(request, now=later))
        return decision


class UncountedClaim(Faulty):
    """A claim that is lost is taken for one of an agent that asks no model."""

    async def claim_step(self, request: ClaimRequest) -> ClaimDecision:
        decision: ClaimDecision = await self._inner.claim_step(replace(request, asks_model=False))
        return decision


class ForgetfulClaim(Faulty):
    """Who takes a step over is not told that somebody else had begun it."""

    async def claim_step(self, request: ClaimRequest) -> ClaimDecision:
        decision: ClaimDecision = await self._inner.claim_step(request)
        return replace(decision, taken_over=False) if isinstance(decision, Claimed) else decision


# -- the record ---------------------------------------------------------------------------------------------------


class LateRecord(Faulty):
    """A result is written a moment after its runner was told that it is."""

    async def record_step(self, *given: Any, **named: Any) -> None:
        async def write() -> None:
            await asyncio.sleep(0.1)
            await _unless_lost(self._inner.record_step(*given, **named))

        self._writing = asyncio.create_task(write())


class NoRecord(Faulty):
    """Results are not written."""

    async def record_step(self, task_id: str, step_id: str, *, owner: str, result: AgentResult, now: datetime) -> None:
        """Nothing."""


class WrongRecord(Faulty):
    """A success is written down as a failure."""

    async def record_step(self, task_id: str, step_id: str, *, owner: str, result: AgentResult, now: datetime) -> None:
        wrong = result.model_copy(update={"status": StepStatus.FAILED})
        await self._inner.record_step(task_id, step_id, owner=owner, result=wrong, now=now)


class NoEnd(Faulty):
    """That a run is over is not written."""

    async def advance_run(
        self, task_id: str, to: RunStatus, *, now: datetime, result: RunResult | None = None
    ) -> RunDocument | None:
        if run_is_over(to):
            return None
        moved: RunDocument = await self._inner.advance_run(task_id, to, now=now, result=result)
        return moved


class NoLog(Faulty):
    """What an attempt that failed has used is not kept."""

    async def release_step(self, task_id: str, step_id: str, *, owner: str, attempt: Attempt) -> None:
        free = attempt.model_copy(update={"usage": Usage()})
        await self._inner.release_step(task_id, step_id, owner=owner, attempt=free)


# -- the model, the bus, the consumer, the host ---------------------------------------------------------------------


class RetryingModel(Faulty):
    """The model's client asks once more by itself."""

    async def complete(self, request: ModelRequest) -> ModelReply:
        try:
            reply: ModelReply = await self._inner.complete(request)
        except RetryableError:
            reply = await self._inner.complete(request)
        return reply


class ForgottenCopies(Faulty):
    """Messages that are to wait are taken and not sent."""

    async def send(self, queue: str, messages: Sequence[OutgoingMessage]) -> None:
        await self._inner.send(queue, [message for message in messages if message.enqueue_at is None])


class SilentConsumer(QueueConsumer):
    """Whoever waits for an answer is not told that there is one."""

    async def consume_task(self, task: AgentTask, delivery: Delivery) -> None:
        async def nobody(*_: Any) -> None:
            """Nothing is told."""

        await super().consume_task(task, replace(delivery, reply=nobody))


def store(faulty: type[Faulty]) -> Any:
    """A part of the app: a store with this bug."""
    return lambda inner: cast(StateStore, faulty(inner))


@dataclass(frozen=True, slots=True)
class Planted:
    """A bug, and the promise that it breaks in runs of a pattern."""

    parts: Parts
    promise: str
    pattern: str = "parallel"


BUGS = {
    "the claim is removed": Planted(Parts(store=store(NoClaim)), "no_call_is_made_for_a_recorded_step"),
    "a claim is taken over too early": Planted(Parts(store=store(ImpatientClaim)), "one_owner_at_a_time"),
    "a lost call is not counted": Planted(Parts(store=store(UncountedClaim)), "calls_repeated_is_exact", "handoff"),
    "what is unsafe is taken over": Planted(
        Parts(store=store(ForgetfulClaim)), "what_is_unsafe_is_done_once", "sequential"
    ),
    "the reply is sent before the record": Planted(Parts(store=store(LateRecord)), "nobody_is_told_before_the_record"),
    "the record is left out": Planted(Parts(store=store(NoRecord)), "nobody_is_told_before_the_record"),
    "a success is recorded as a failure": Planted(Parts(store=store(WrongRecord)), "the_account_is_true"),
    "the end is not recorded": Planted(Parts(store=store(NoEnd)), "every_run_ends"),
    "what a failed attempt used is forgotten": Planted(Parts(store=store(NoLog)), "the_usage_adds_up"),
    "the client tries again too": Planted(
        Parts(model=lambda inner: cast(ModelClient, RetryingModel(inner))),
        "a_failed_call_is_tried_again_only_by_the_queue",
    ),
    "copies are not sent": Planted(
        Parts(bus=lambda inner: cast(MessageBus, ForgottenCopies(inner))), "no_message_is_lost"
    ),
    "messages are completed before they are handled": Planted(Parts(settles_first=True), "no_message_is_lost"),
    "nobody is told": Planted(Parts(consumer=SilentConsumer), "who_waits_is_told"),
}


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_caught_by_the_promise_that_it_breaks(bug: str) -> None:
    planted = BUGS[bug]
    for seed in range(MOST_PLANS):
        plan = fault_plan(planted.pattern, seed)
        if planted.promise in {breach.promise for breach in verdict(plan, planted.parts)}:
            assert verdict(plan) == [], "the plan is survived without the bug"
            return
    pytest.fail(f"{MOST_PLANS} plans of {planted.pattern} did not show that {bug}")
