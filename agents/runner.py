"""The one place that runs an agent: claim the step, run within its deadline, record the result.

The step is claimed before a token is spent and recorded before anyone is told. A finished step is answered from its
record, so that a message delivered twice is paid for once.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from pydantic import JsonValue, ValidationError

from agents.catalog import Catalog
from agents.context import AgentContext
from agents.holding import LEASE, NotWantedAnyMore, while_holding
from agents.outcomes import Answered, Held, RunOutcome, TryAgain, Unwanted
from agents.output import by_reference, checked_output, with_content
from agents.poison import is_poisoned, poisoned
from agents.spec import AgentSpec
from shared.breaker import agent_circuit, blames_agent
from shared.contracts import AgentInput, AgentResult, AgentTask, ArtifactRef, ErrorInfo, EventDraft, Usage
from shared.errors import (
    AgentTimedOut,
    BudgetExhausted,
    ClaimLost,
    InvalidMessage,
    MusterError,
    RetryableError,
    TerminalError,
)
from shared.resources import Resources
from shared.retry import next_delay
from shared.state.decisions import Busy, Claimed, ClaimRequest, Finished, Foreign, NotWanted
from shared.state.documents import Attempt, StepDocument
from shared.status import StepStatus
from shared.telemetry.measures import attempt_measures, begun_measures, step_measures

log = logging.getLogger("muster.agents")

# A result that is not recorded is paid for again, so a store that does not answer is asked for some two minutes.
RECORD_WAITS = tuple(timedelta(seconds=seconds) for seconds in (0.5, 1, 2, 4, 8, 15, 30, 30, 30))
_LAST_WORDS = timedelta(seconds=5)


class AgentRunner:
    """Runs the agents of one catalog over one set of resources.

    `record_waits` are the waits between the tries at recording a result in a store that does not answer. `chance` is
    a number from 0 to 1 each time it is asked, by which waits differ so that not all come back at once.
    """

    def __init__(
        self,
        catalog: Catalog,
        resources: Resources,
        *,
        record_waits: Sequence[timedelta] = RECORD_WAITS,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._catalog = catalog
        self._resources = resources
        self._record_waits = record_waits
        self._chance = chance

    async def run(
        self, task: AgentTask, *, owner: str, enqueued_at: datetime, is_last_delivery: bool = False
    ) -> RunOutcome:
        """Run one task once.

        `owner` names this delivery and no other; `enqueued_at` is when the task was handed to the queue. A step whose
        runners were lost at the deliveries before is not run at the last one: it has failed.
        Raises `InvalidMessage`, `NotFound` (no such agent), and what the stores raise when they cannot be reached.
        """
        spec = self._catalog.spec(task.agent)
        clock, store = self._resources.clock, self._resources.store
        now = clock.now()
        decision = await store.claim_step(
            ClaimRequest(
                task_id=task.task_id,
                step_id=task.step_id,
                agent=task.agent,
                attempt=task.attempt,
                owner=owner,
                enqueued_at=enqueued_at,
                now=now,
                lease_until=now + LEASE,
                asks_model=spec.uses_model,
                repeat=task.repeat,
            )
        )
        match decision:
            case Finished(result):
                return Answered(result, from_record=True)
            case Busy(lease_until):
                return Held(lease_until)
            case Foreign(reason):
                raise InvalidMessage(f"step {task.step_id} of run {task.task_id} cannot be run: {reason}")
            case NotWanted(reason):
                return Unwanted(reason)
            case Claimed(step, taken_over=True) if spec.effect == "unsafe":
                return await self._park(step, step.attempts[-1].error)
            case Claimed(step) if is_last_delivery and is_poisoned(step):
                return await self._record(step, StepStatus.FAILED, Usage(), error=poisoned(step), now=now)
            case Claimed(step) if len(step.attempts) >= spec.retry.attempts:
                # The last attempt was begun and never ended: this agent takes its own process down.
                lost = step.attempts[-1].error.model_copy(update={"retryable": False})
                return await self._record(step, StepStatus.FAILED, Usage(), error=lost, now=now)
            case Claimed(step):
                self._resources.telemetry.record(begun_measures(step))
                return await self._attempt(task, spec, step)

    async def _attempt(self, task: AgentTask, spec: AgentSpec, step: StepDocument) -> RunOutcome:
        clock, settings = self._resources.clock, self._resources.settings
        limits = [settings.model_max_output_tokens, spec.max_output_tokens, task.budget.max_output_tokens]
        context = AgentContext(
            task,
            self._resources,
            model_timeout=min(settings.model_timeout, spec.timeout),
            max_output_tokens=min(limit for limit in limits if limit is not None),
            publishes=spec.publishes,
        )
        try:
            _check_paid_for(task, step)
            made = await while_holding(
                self._within_deadline(task, spec, context),
                step,
                owner=step.owner,
                store=self._resources.store,
                clock=clock,
            )
        except asyncio.CancelledError:
            await self._interrupted(spec, step, context)
            raise
        except NotWantedAnyMore as error:
            stopped = ErrorInfo(type="Unwanted", message=f"stopped: {error}")
            await self._record(step, StepStatus.SKIPPED, context.usage, error=stopped, now=clock.now())
            return Unwanted(str(error))
        except ClaimLost:
            raise
        except Exception as error:
            return await self._failed(task, spec, step, context.usage, error)
        try:
            # Outside the agent's own time, and patiently: what was made is paid for.
            output = await self._patiently(step, lambda: by_reference(made, self._resources.artifacts, task.task_id))
        except TerminalError as error:
            return await self._failed(task, spec, step, context.usage, error)
        await self._resources.circuits.succeeded(agent_circuit(spec.name))
        return await self._record(
            step, StepStatus.SUCCEEDED, context.usage, output=output, events=context.events, now=clock.now()
        )

    async def _within_deadline(self, task: AgentTask, spec: AgentSpec, context: AgentContext) -> JsonValue:
        left = spec.timeout
        if task.deadline is not None:
            left = min(left, task.deadline - self._resources.clock.now())
        if left <= timedelta(0):
            raise _DeadlinePassed(f"its deadline passed at {task.deadline} before it began")
        given = await self._input(task)
        try:
            async with asyncio.timeout(left.total_seconds()):
                return checked_output(spec.name, await spec.handler(context, given))
        except TimeoutError:
            raise AgentTimedOut(f"{spec.name} took longer than {left.total_seconds():g} s") from None

    async def _input(self, task: AgentTask) -> AgentInput:
        artifacts, given = self._resources.artifacts, task.input
        if isinstance(given, ArtifactRef):
            address = given.address
            try:
                given = AgentInput.model_validate_json(await artifacts.get(address))
            except ValidationError as error:
                raise InvalidMessage(f"the artifact {address} is no agent input: {error}") from None
        earlier = [await with_content(each, artifacts) for each in given.earlier]
        return given.model_copy(update={"earlier": tuple(earlier)})

    async def _failed(
        self, task: AgentTask, spec: AgentSpec, step: StepDocument, usage: Usage, error: Exception
    ) -> RunOutcome:
        now = self._resources.clock.now()
        info = describe(error)
        if blames_agent(error) and not isinstance(error, _DeadlinePassed):
            await self._resources.circuits.failed(agent_circuit(spec.name), str(info))
        if spec.effect == "unsafe" and isinstance(error, AgentTimedOut):
            return await self._park(step, info, usage)
        if not isinstance(error, RetryableError):
            log.error("%s failed for good: %s", _label(step), info, exc_info=error)
        delay = next_delay(spec.retry, step.attempt, error, self._chance())
        if delay is not None and (task.deadline is None or now + delay < task.deadline):
            ended = Attempt(attempt=step.attempt, started_at=step.started_at, ended_at=now, error=info, usage=usage)
            await self._patiently(step, lambda: self._release(step, ended))
            return TryAgain(delay, info, step.attempt + 1)
        timed_out = isinstance(error, (AgentTimedOut, _DeadlinePassed))
        status = StepStatus.TIMED_OUT if timed_out else StepStatus.FAILED
        return await self._record(step, status, usage, error=info, now=now)

    async def _release(self, step: StepDocument, ended: Attempt) -> None:
        await self._resources.store.release_step(step.task_id, step.step_id, owner=step.owner, attempt=ended)
        self._resources.telemetry.record(attempt_measures(step, ended.usage))

    async def _park(self, step: StepDocument, cause: ErrorInfo, usage: Usage | None = None) -> Answered:
        """Leave the step to a person: what it does must not be done twice, and nobody can tell whether it was done."""
        message = (
            f"{step.agent} may have done its work or not ({cause.message}): a person has to look, and may repeat it"
        )
        parked = ErrorInfo(type=cause.type, message=message)
        log.error("%s is parked: %s", _label(step), parked)
        return await self._record(
            step, StepStatus.PARKED, usage or Usage(), error=parked, now=self._resources.clock.now()
        )

    async def _interrupted(self, spec: AgentSpec, step: StepDocument, context: AgentContext) -> None:
        """Give the claim back before this process stops. It stops in any case: without a word, the claim runs out."""
        now = self._resources.clock.now()
        error = ErrorInfo(type="Interrupted", message="its process was told to stop", retryable=True)
        usage = context.usage.plus(Usage(cost_usd=None)) if context.asked_model else context.usage
        ended = Attempt(
            attempt=step.attempt,
            started_at=step.started_at,
            ended_at=now,
            error=error,
            usage=usage,
            answer_lost=context.asked_model,
        )
        try:
            async with asyncio.timeout(_LAST_WORDS.total_seconds()):
                await (self._park(step, error, usage) if spec.effect == "unsafe" else self._release(step, ended))
        except (MusterError, TimeoutError) as failure:
            log.warning("%s was broken off, and its claim could not be given back: %s", _label(step), failure)

    async def _record(
        self,
        step: StepDocument,
        status: StepStatus,
        usage: Usage,
        *,
        now: datetime,
        output: JsonValue = None,
        events: Sequence[EventDraft] = (),
        error: ErrorInfo | None = None,
    ) -> Answered:
        of_attempt = usage
        for attempt in step.attempts:
            usage = attempt.usage.plus(usage)
        result = AgentResult.model_validate(
            {
                "status": status,
                "output": output,
                "events": events,
                "error": error,
                "usage": usage,
                "attempt": step.attempt,
                "started_at": step.started_at,
                "completed_at": now,
            }
        )
        store = self._resources.store
        await self._patiently(
            step,
            lambda: store.record_step(step.task_id, step.step_id, owner=step.owner, result=result, now=now),
        )
        self._resources.telemetry.record(attempt_measures(step, of_attempt))
        self._resources.telemetry.record(step_measures(step, result))
        return Answered(result)

    async def _patiently[T](self, step: StepDocument, write: Callable[[], Awaitable[T]]) -> T:
        """What `write` returns, tried again while its store does not answer, up to `record_waits`."""
        clock = self._resources.clock
        for wait in self._record_waits:
            try:
                return await write()
            except RetryableError as error:
                log.warning("the result of %s is not recorded yet: %s", _label(step), error)
                await clock.sleep_until(clock.now() + wait)
        return await write()


class _DeadlinePassed(Exception):
    """A task whose time was over before it began; no attempt is worth making."""


def _check_paid_for(task: AgentTask, step: StepDocument) -> None:
    """Raise `BudgetExhausted` when the attempts that were paid for ahead have been made; unknown is not free."""
    paid = sum(each.usage.cost_usd is None or each.usage.output_tokens > 0 for each in step.attempts)
    if task.budget.paid_attempts is not None and paid >= task.budget.paid_attempts:
        raise BudgetExhausted(f"{paid} attempts have cost something; another could exceed the run's budget")


def describe(error: BaseException) -> ErrorInfo:
    """An exception as data: its type, its message, and whether it is one that another attempt may mend."""
    name = "DeadlinePassed" if isinstance(error, _DeadlinePassed) else type(error).__name__
    message = str(error)[:2000].encode(errors="replace").decode()
    return ErrorInfo(type=name, message=message, retryable=isinstance(error, RetryableError))


def _label(step: StepDocument) -> str:
    return f"step {step.step_id} of run {step.task_id} (attempt {step.attempt})"
