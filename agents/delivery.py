"""What a message on an agent's queue leads to: validate, run, answer, and leave the message where it belongs.

Returning completes the message. Raising gives it back, and the broker moves it to the dead-letter queue once its
deliveries are used up, because Python functions cannot settle a message by hand. A wait before another attempt is a
scheduled copy of the message, because a message that is given back returns at once; that goes for an agent that
failed and for a store or a task hub that did not answer.
"""

import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import ValidationError

from agents.observing import invocation, tell
from agents.outcomes import Answered, Held, TryAgain, Unwanted
from agents.poison import needs_a_fresh_message
from agents.runner import AgentRunner
from shared import names
from shared.breaker import agent_circuit
from shared.circuit import Refused
from shared.contracts import MAX_POSTPONED, OUTCOMES, AgentAccount, AgentResult, AgentTask, ReplyTo, RunResult
from shared.ending import advance
from shared.errors import AgentFailed, InvalidMessage, RetryableError
from shared.messaging.tasks import task_message
from shared.resources import Resources
from shared.retry import outage_delay
from shared.state.documents import PlannedStep, RunDocument
from shared.status import RunStatus, StepStatus
from shared.telemetry import names as tracing
from shared.telemetry.attributes import QUEUE_SECONDS, STATUS
from shared.telemetry.telemetry import Span

log = logging.getLogger("muster.agents")

type Reply = Callable[[ReplyTo, AgentResult], Awaitable[None]]

SINGLE_STEP = "agent"

# The queue's clock may be ahead of this one's: a copy that came early would find the claim still held.
_CLOCK_MARGIN = timedelta(seconds=2)
_LOOK_AGAIN = timedelta(seconds=60)
# And by far: a copy that is due in the past comes at once, and would be copied again at once.
_LEAST_WAIT = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery of a message: its `owner`, whom no other delivery has, and how to `reply` to who waits.

    `enqueued_at` is when it came to the queue, by the queue's clock, where that is known; `traceparent` is what
    it carries; `is_last` is whether the broker delivers it no more after this.
    """

    owner: str
    reply: Reply
    enqueued_at: datetime | None = None
    traceparent: str | None = None
    is_last: bool = False


class QueueConsumer:
    """Handles the deliveries of agents' queues. `chance` is what `AgentRunner` takes."""

    def __init__(
        self, runner: AgentRunner, resources: Resources, *, chance: Callable[[], float] = random.random
    ) -> None:
        self._runner = runner
        self._resources = resources
        self._chance = chance

    async def consume(self, agent: str, body: bytes, delivery: Delivery) -> None:
        """Handle one delivery to `agent`'s queue; returning completes it, and raising at the last one dead-letters it.

        Raises `InvalidMessage` for a body that is no task for this agent, `AgentFailed` once the step has ended
        without success and everyone who waits was told, and a `RetryableError` once there is no copy left to send.
        """
        await self.consume_task(parse_task(agent, body), delivery)

    async def consume_task(self, task: AgentTask, delivery: Delivery) -> None:
        """Handle one delivery of a task, however it came. Further attempts come from its agent's queue.

        Raises what `consume` does, but for the body.
        """
        with invocation(self._resources.telemetry, task, carried=delivery.traceparent) as span:
            # A task that came without a context gets one here, which its copies and its run then have.
            begun = task.traceparent or delivery.traceparent or span.traceparent
            if task.attempt == 1 and not task.postponed and delivery.enqueued_at is not None:
                waited = (self._resources.clock.now() - delivery.enqueued_at).total_seconds()
                span.set({QUEUE_SECONDS: max(0.0, waited)})
            if begun != task.traceparent:
                task = task.model_copy(update={"traceparent": begun})
            await self._consume(task, delivery, span)

    async def _consume(self, task: AgentTask, delivery: Delivery, span: Span) -> None:
        try:
            if not await self._has_gone_on_freshly(task, delivery):
                await self._handle(task, delivery, span)
        except RetryableError as error:
            span.failed(error)
            due = self._postponed_until(task, error)
            if due is None:
                raise
            log.warning("%s of run %s: %s; coming back to it at %s", task.step_id, task.task_id, error, due)
            await self._postpone(task, delivery, due)

    async def _has_gone_on_freshly(self, task: AgentTask, delivery: Delivery) -> bool:
        """Whether a copy with all its deliveries before it now stands for a message that would be run at its last."""
        if not delivery.is_last or task.postponed >= MAX_POSTPONED:
            return False
        now = self._resources.clock.now()
        if not needs_a_fresh_message(await self._resources.store.read_run(task.task_id), task, now):
            return False
        log.warning("%s of run %s was given back too often: a copy goes on", task.step_id, task.task_id)
        await self._postpone(task, delivery, now)
        return True

    async def _postpone(self, task: AgentTask, delivery: Delivery, due: datetime) -> None:
        later = task.model_copy(update={"postponed": task.postponed + 1})
        await self._schedule_copy(later, delivery, due)

    async def _handle(self, task: AgentTask, delivery: Delivery, span: Span) -> None:
        if task.reply_to is None:
            await self._begin_single_step(task)
        if task.attempt > 1 and (rest_until := await self._rest_until(task)) is not None:
            log.warning("%s of run %s waits until %s: its circuit is open", task.step_id, task.task_id, rest_until)
            await self._schedule_copy(task, delivery, rest_until)
            return
        outcome = await self._runner.run(
            task,
            owner=delivery.owner,
            enqueued_at=delivery.enqueued_at or self._resources.clock.now(),
            is_last_delivery=delivery.is_last,
        )
        tell(span, outcome)
        match outcome:
            case Answered(result):
                await self._answer(task, result, delivery.reply)
            case TryAgain(delay, error, next_attempt):
                log.warning("%s of run %s: %s; trying again in %s", task.step_id, task.task_id, error, delay)
                await self._schedule_attempt(task, next_attempt, delay)
            case Held(until):
                log.info("%s of run %s is being run elsewhere; looking again at %s", task.step_id, task.task_id, until)
                await self._schedule_copy(task, delivery, until + _CLOCK_MARGIN)
            case Unwanted(reason):
                log.info("%s of run %s is not wanted: %s", task.step_id, task.task_id, reason)

    def _postponed_until(self, task: AgentTask, error: RetryableError) -> datetime | None:
        """When to come back to a task after an outage, which is none of its attempts; None when it is too late.

        It is for its deadline, when nobody waits any more, or for some `MAX_POSTPONED` minutes without one.
        """
        now = self._resources.clock.now()
        if task.postponed >= MAX_POSTPONED or (task.deadline is not None and task.deadline <= now):
            return None
        due = now + outage_delay(task.postponed, error, self._chance())
        return due if task.deadline is None else min(due, task.deadline)

    async def _rest_until(self, task: AgentTask) -> datetime | None:
        """When to come back to a further attempt of an agent whose circuit is open; None to make it now.

        First attempts were let through when they were sent, perhaps as the probe.
        """
        now = self._resources.clock.now()
        if task.deadline is not None and task.deadline <= now:
            return None
        answer = await self._resources.circuits.admit(agent_circuit(task.agent))
        if not isinstance(answer, Refused):
            return None
        # While a probe is on its way, what it says may come long before its time is over.
        until = min(answer.retry_at or now + _LOOK_AGAIN, now + _LOOK_AGAIN)
        return until if task.deadline is None else min(until, task.deadline)

    async def _begin_single_step(self, task: AgentTask) -> None:
        """A producer that wants no answer has no orchestration, so the step is a run of its own, to be looked up."""
        store, now = self._resources.store, self._resources.clock.now()
        created = await store.create_run(
            RunDocument(
                task_id=task.task_id,
                type=SINGLE_STEP,
                workflow=task.agent,
                status=RunStatus.RUNNING,
                input=task.input.model_dump(mode="json"),
                plan=(PlannedStep(step_id=task.step_id, name=task.agent, agent=task.agent),),
                created_at=now,
                updated_at=now,
                traceparent=task.traceparent,
            )
        )
        record = None if created else await store.read_run(task.task_id)
        if record is not None and not _is_run_of(record.run, task):
            raise InvalidMessage(f"run {task.task_id} exists already: give each message a task_id of its own")

    async def _answer(self, task: AgentTask, result: AgentResult, reply: Reply) -> None:
        if task.reply_to is not None:
            told = {STATUS: result.status.value}
            with self._resources.telemetry.span(tracing.REPLY, task.agent, attributes=told):
                await reply(task.reply_to, result)
        else:
            run_result = _single_step_result(task, result)
            await advance(task.task_id, RunStatus(run_result.status), self._resources, result=run_result)
        if result.status is not StepStatus.SUCCEEDED:
            # Hosts send away what an exception says, so that what may quote a model stays in the step's record.
            cause = result.error.type if result.error else None
            raise AgentFailed(
                f"step {task.step_id} of run {task.task_id} {result.status}: {cause or result.status}", cause=cause
            )

    async def _schedule_attempt(self, task: AgentTask, attempt: int, delay: timedelta) -> None:
        following = task.model_copy(update={"attempt": attempt, "postponed": 0})
        await self._schedule(following, following.message_id, self._resources.clock.now() + delay)

    async def _schedule_copy(self, task: AgentTask, delivery: Delivery, due: datetime) -> None:
        """Have the task looked at again; not at once, whatever this clock says of when it is due."""
        message_id = names.copy_message_id(task.message_id, delivery.owner)
        came = delivery.enqueued_at or self._resources.clock.now()
        await self._schedule(task, message_id, max(due, came + _LEAST_WAIT))

    async def _schedule(self, task: AgentTask, message_id: str, due: datetime) -> None:
        copy = await task_message(task, self._resources.artifacts, message_id=message_id, enqueue_at=due)
        await self._resources.bus.send(names.agent_queue(task.agent), [copy])


def parse_task(agent: str, body: bytes) -> AgentTask:
    """The task in a message to `agent`'s queue. Raises `InvalidMessage`, which names the field."""
    try:
        task = AgentTask.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        raise InvalidMessage(f"a message to {agent} is no agent task: {where}: {first['msg']}") from None
    if task.agent != agent:
        raise InvalidMessage(f"a message to {agent} is a task for {task.agent}")
    return task


def _is_run_of(run: RunDocument, task: AgentTask) -> bool:
    return run.type == SINGLE_STEP and [(step.step_id, step.agent) for step in run.plan] == [(task.step_id, task.agent)]


def _single_step_result(task: AgentTask, result: AgentResult) -> RunResult:
    answered = result.status is StepStatus.SUCCEEDED
    outcome = OUTCOMES[result.status]
    cause = result.error.message if result.error else None
    return RunResult(
        status=RunStatus.COMPLETED if answered else RunStatus.FAILED,
        result=result.output,
        account=(AgentAccount(step_id=task.step_id, agent=task.agent, outcome=outcome, cause=cause),),
        usage=result.usage,
        error=result.error,
    )
