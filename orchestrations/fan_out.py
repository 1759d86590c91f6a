"""Asking many nodes at once: in waves no wider than allowed, within a budget and a deadline, until there is enough.

The tasks of a wave are sent in one batch. One timer ends the wait. What is not begun when there is enough, or nothing
left to pay with, is not begun at all. History grows by one event for each agent, plus four for each wave.

Determinism contract: reads no clock but the orchestration's, and yields only durable tasks.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from durabletask import task as durable
from durabletask.task import Task, TaskFailedError, TimerTask

from orchestrations.account import BUDGET_EXHAUSTED, answered, skipped
from orchestrations.asking import (
    Branch,
    Ended,
    as_activity,
    as_nested,
    at_once,
    failed,
    input_bytes,
    over_bus,
    step_budget,
)
from orchestrations.branches import Branches, Step
from orchestrations.calling_off import call_off_open
from orchestrations.calls import Dispatch, Dispatched, QueuedStep
from orchestrations.nodes import PatternRequest, agent_of
from orchestrations.retrying import ACTIVITY_RETRY
from orchestrations.run import Answer, NodeCall, Run
from shared import names
from shared.budget import NO_LIMIT, Allowance, Amount, give_back, minus, plus, set_aside, share, upper_bound, within
from shared.cards import AgentCard
from shared.contracts import AgentInput, AgentResult, ErrorInfo
from shared.status import StepStatus


@dataclass
class _Started:
    """A call that has begun. `reserved` is what was set aside for it."""

    call: NodeCall
    reserved: Amount | Allowance


@dataclass
class FanOut[R: PatternRequest]:
    """The calls of one fan-out: those that wait to begin, those under way, and the answers by the calls' names."""

    run: Run[R]
    calls: Sequence[NodeCall]
    width: int
    deadline: datetime
    answers: dict[str, Answer] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._waiting = deque(self.calls)
        self._under_way: dict[str, _Started] = {}
        self._branches: Branches[Ended] = Branches()
        self._timer: TimerTask | None = None
        self._until = self.run.now
        self._begun_at = self.run.now

    @property
    def idle(self) -> bool:
        """Whether nothing is under way."""
        return not self._under_way

    @property
    def under_way(self) -> int:
        """How many calls have begun and not ended."""
        return len(self._under_way)

    def start(self) -> Step[None]:
        """Begin what may begin now. What can never begin, because time or budget is over, is answered for."""
        room = self.width - len(self._under_way)
        if not self._waiting or (self._under_way and room < max(1, self.width // 2)):
            return
        if self.run.now >= self.deadline:
            self._answer_for_waiting(StepStatus.TIMED_OUT, "StepTimedOut", "not asked: the deadline had passed")
            return
        wave = self._wave(room)
        if wave:
            yield from self._begin(wave)
        elif not self._under_way:
            self._answer_for_waiting(StepStatus.SKIPPED, BUDGET_EXHAUSTED, "not asked: it could exceed the budget")

    def wait(self, also: Task[Any] | None = None) -> Step[list[Answer]]:
        """The answers that have come since, in the order they came; empty once time is over, or `also` completed."""
        until: Task[Any] = self._timer or self.run.ctx.create_timer(self._until)
        ended = yield from self._branches.wait(until if also is None else durable.when_any([until, also]))
        return [self._settle(name, each) for name, each in ended]

    def finish(self, *, why: tuple[str, str] | None) -> tuple[Answer, ...]:
        """Stop waiting; every call's answer, in the order of the calls.

        What is still open has timed out; or, when `why` gives an error's type and message, is not wanted any more. It
        is called off before the run goes on to anything else.
        """
        if self._timer is not None and not self._timer.is_complete:
            self._timer.cancel()
        self._branches.stop()
        for started in self._under_way.values():
            self._answer_for_open(started.call, why)
            self.run.left_open.append(started.call)
        while self._waiting:
            call = self._waiting.popleft()
            kind, message = why or ("StepTimedOut", "not asked: time was over")
            self.answers[call.name] = skipped(call, self.run.step_id(call.name), kind, message)
        return tuple(self.answers[call.name] for call in self.calls)

    # -- beginning ----------------------------------------------------------------------------------------------

    def _wave(self, room: int) -> list[_Started]:
        wave: list[_Started] = []
        while self._waiting and len(wave) < room:
            reserved = self._reserve(self._waiting[0], parts=len(self._waiting))
            if reserved is None:
                break
            wave.append(_Started(self._waiting.popleft(), reserved))
        return wave

    def _reserve(self, call: NodeCall, parts: int) -> Amount | Allowance | None:
        """Set aside what a call may use at most; None when there is not enough."""
        left = self.run.budget
        if isinstance(call.node, PatternRequest):
            own = call.node.budget
            handed = within(left, Allowance(tokens=own.tokens, usd=own.usd)) if own else share(left, parts)
            if left.tokens == 0 or left.usd == 0.0:
                return None
            self.run.budget = minus(left, handed)
            return handed
        if left == NO_LIMIT:
            return Amount()
        amount = upper_bound(self._card(call), input_bytes(call.input()))
        rest = set_aside(left, amount)
        if rest is None:
            return None
        self.run.budget = rest
        return amount

    def _begin(self, wave: list[_Started]) -> Step[None]:
        yield from call_off_open(self.run)
        self._extend_timer(wave)
        queued = [started for started in wave if self._transport(started.call) == "bus"]
        refused = (yield from self._send(queued)) if queued else {}
        for started in wave:
            call = started.call
            self._under_way[call.name] = started
            if call.name in refused:
                answer = answered(call, self.run.step_id(call.name), refused[call.name])
                self._branches.start(call.name, at_once(Ended(answer, refused[call.name].usage)))
            else:
                self._branches.start(call.name, self._branch(started))

    def _branch(self, started: _Started) -> Branch:
        call = started.call
        if isinstance(call.node, PatternRequest):
            budget = started.reserved if isinstance(started.reserved, Allowance) else NO_LIMIT
            return as_nested(self.run, call, call.node, budget, self.deadline)
        card = self._card(call)
        if card.transport == "activity":
            return as_activity(self.run, call, card, self._deadline(card))
        return over_bus(self.run, call)

    def _send(self, wave: list[_Started]) -> Step[dict[str, AgentResult]]:
        """Put the tasks of a wave on their queues, in one batch; what was refused, by the calls' names."""
        dispatch = self._dispatch([started.call for started in wave])
        try:
            sent = yield self.run.ctx.call_activity(
                names.ACTIVITY_DISPATCH_AGENTS, input=dispatch.model_dump(mode="json"), retry_policy=ACTIVITY_RETRY
            )
        except TaskFailedError as error:
            result = failed(StepStatus.REJECTED, "DispatchFailed", f"the task could not be sent: {error}")
            return {started.call.name: result for started in wave}
        errors = {each.step_id: each.error for each in Dispatched.model_validate(sent).rejected}
        return {
            started.call.name: AgentResult(status=StepStatus.REJECTED, error=errors[step_id])
            for started in wave
            if (step_id := self.run.step_id(started.call.name)) in errors
        }

    def _dispatch(self, calls: list[NodeCall]) -> Dispatch:
        inputs: list[AgentInput] = []
        places: dict[int, int] = {}
        steps = []
        for call in calls:
            given, card, step_id = call.input(), self._card(call), self.run.step_id(call.name)
            if id(given) not in places:
                places[id(given)] = len(inputs)
                inputs.append(given)
            steps.append(
                QueuedStep(
                    step_id=step_id,
                    agent=card.name,
                    given=places[id(given)],
                    deadline=self._deadline(card),
                    reply_event=names.reply_event(step_id),
                    budget=step_budget(self.run, card),
                )
            )
        return Dispatch(
            task_id=self.run.task_id,
            reply_to=self.run.ctx.instance_id,
            inputs=tuple(inputs),
            steps=tuple(steps),
            tenant=self.run.whose.tenant,
            session=self.run.whose.session,
            traceparent=self.run.traceparent,
        )

    # -- ending -------------------------------------------------------------------------------------------------

    def _settle(self, name: str, ended: Ended) -> Answer:
        started = self._under_way.pop(name)
        self.answers[name] = ended.answer
        if ended.left is not None:
            self.run.budget = plus(self.run.budget, ended.left)
        elif ended.used is not None and isinstance(started.reserved, Amount):
            self.run.budget = give_back(self.run.budget, started.reserved, ended.used)
        return ended.answer

    def _answer_for_open(self, call: NodeCall, why: tuple[str, str] | None) -> None:
        step_id = self.run.step_id(call.name)
        if why is not None:
            self.answers[call.name] = skipped(call, step_id, *why)
            return
        seconds = (self._until - self._begun_at).total_seconds()
        result = failed(StepStatus.TIMED_OUT, "StepTimedOut", f"no answer within {seconds:g} s")
        self.answers[call.name] = answered(call, step_id, result)

    def _answer_for_waiting(self, status: StepStatus, kind: str, message: str) -> None:
        while self._waiting:
            call = self._waiting.popleft()
            result = AgentResult.model_validate({"status": status, "error": ErrorInfo(type=kind, message=message)})
            self.answers[call.name] = answered(call, self.run.step_id(call.name), result)

    # -- limits -------------------------------------------------------------------------------------------------

    def _extend_timer(self, wave: list[_Started]) -> None:
        """Let the one timer run as long as the slowest call of the wave may take."""
        until = max(self._deadline(self._card_or_none(started.call)) for started in wave)
        if self._timer is None or until > self._until:
            if self._timer is not None:
                self._timer.cancel()
            self._timer, self._until = self.run.ctx.create_timer(until), until

    def _deadline(self, card: AgentCard | None) -> datetime:
        if card is None:
            return self.deadline
        return min(self.deadline, self.run.now + timedelta(seconds=card.step_timeout_seconds))

    def _transport(self, call: NodeCall) -> str:
        card = self._card_or_none(call)
        return card.transport if card is not None else "nested"

    def _card(self, call: NodeCall) -> AgentCard:
        return self.run.agents[call.asked]

    def _card_or_none(self, call: NodeCall) -> AgentCard | None:
        return None if agent_of(call.node) is None else self._card(call)
