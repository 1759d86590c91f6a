"""Publishing a run's events and waiting for the reactions that it expects to them.

The run expects each reaction because it named its agent in the event that it published, and waits for each under its
own step id. So nothing can be counted twice or lost: a repeated delivery is the same step, a repeated answer is never
read, the order does not matter, and an agent of which nothing is heard has timed out when its time is over.

Determinism contract: reads no clock but the orchestration's, and yields only durable tasks.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from durabletask.task import TaskFailedError, TimerTask

from orchestrations.account import BUDGET_EXHAUSTED, answered, skipped
from orchestrations.asking import Branch, Ended, at_once, failed, input_bytes, over_bus, step_budget
from orchestrations.branches import Branches, Step
from orchestrations.calls import Publication, PublishedEvents
from orchestrations.causality import CausalTree, Published, Reaction
from orchestrations.requests import EventDrivenRequest
from orchestrations.retrying import ACTIVITY_RETRY
from orchestrations.run import Answer, NodeCall, Run
from shared import names
from shared.budget import NO_LIMIT, Amount, give_back, set_aside, upper_bound
from shared.cards import AgentCard
from shared.contracts import AgentInput, AgentResult
from shared.events import Event, reaction_input
from shared.status import StepStatus


@dataclass
class _Open:
    """A reaction that is waited for from `begun` until `deadline`; `reserved` is what was set aside for it."""

    reaction: Reaction
    call: NodeCall
    begun: datetime
    deadline: datetime
    reserved: Amount


@dataclass
class Reactions:
    """The reactions of a run: those that are open, and the answers by the reactions' names."""

    run: Run[EventDrivenRequest]
    tree: CausalTree
    answers: dict[str, Answer] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._open: dict[str, _Open] = {}
        self._branches: Branches[Ended] = Branches()
        self._timer: TimerTask | None = None
        self._until = self.run.now

    @property
    def in_flight(self) -> int:
        """How many reactions are waited for."""
        return len(self._open)

    def publish(self, events: Sequence[Published]) -> Step[None]:
        """Publish events that were entered into the tree, and begin to wait for the reactions to them."""
        messages: list[Event] = []
        wave: list[_Open] = []
        for entered in events:
            shown = self._event(entered)
            asked = [self._begin(each, shown) for each in self.tree.react(entered)]
            begun = [each for each in asked if each is not None]
            wave += begun
            messages.append(self._addressed(shown, begun))
        if not messages:
            return
        refused = yield from self._send(messages)
        for each in wave:
            self._open[each.reaction.name] = each
            self._branches.start(each.reaction.name, self._branch(each.call, refused))
        self._set_timer()

    def wait(self) -> Step[list[tuple[Reaction, Answer]]]:
        """The reactions that have been answered since, in the order they were; empty once time is over."""
        ended = yield from self._branches.wait(self._timer or self.run.ctx.create_timer(self._until))
        come = [self._settle(name, each) for name, each in ended]
        if self._open:
            self._set_timer()
        return come

    def finish(self) -> None:
        """Stop waiting: what is still open has timed out."""
        if self._timer is not None and not self._timer.is_complete:
            self._timer.cancel()
        self._branches.stop()
        for name, each in self._open.items():
            seconds = (each.deadline - each.begun).total_seconds()
            result = failed(StepStatus.TIMED_OUT, "StepTimedOut", f"no answer within {seconds:g} s")
            self.answers[name] = answered(each.call, self.run.step_id(name), result)
            self.run.left_open.append(each.call)
        self._open.clear()

    # -- beginning ----------------------------------------------------------------------------------------------

    def _event(self, entered: Published) -> Event:
        """The event as it is published, but for who is asked to react."""
        draft, run = entered.draft, self.run
        first = entered.cause is None
        return Event(
            specversion="1.0",
            id=run.step_id(entered.id),
            source=f"urn:muster:run:{run.task_id}",
            type=draft.type,
            subject=draft.subject,
            time=run.now,
            datacontenttype="application/json",
            data=draft.data,
            rootid=run.task_id,
            hop=entered.hop,
            causationid=None if entered.cause is None else run.step_id(entered.cause),
            replyto=run.ctx.instance_id,
            origin=run.request.source if first else None,
            memorytenant=run.whose.tenant,
            memorysession=run.whose.session,
        )

    def _begin(self, reaction: Reaction, event: Event) -> _Open | None:
        """Set aside what a reaction may cost; None, and an answer that says why, when it cannot be asked for."""
        run, card = self.run, self.run.agents[reaction.agent]
        call = NodeCall(reaction.name, reaction.agent, reaction_input(event))
        if run.now >= run.deadline:
            self._leave_out(call, "StepTimedOut", "not asked: the deadline had passed")
            return None
        reserved = self._reserve(card, call.given)
        if reserved is None:
            self._leave_out(call, BUDGET_EXHAUSTED, "not asked: it could exceed the budget")
            return None
        deadline = min(run.deadline, run.now + timedelta(seconds=card.step_timeout_seconds))
        return _Open(reaction, call, run.now, deadline, reserved)

    def _branch(self, call: NodeCall, refused: AgentResult | None) -> Branch:
        if refused is None:
            return over_bus(self.run, call)
        return at_once(Ended(answered(call, self.run.step_id(call.name), refused), refused.usage))

    def _leave_out(self, call: NodeCall, kind: str, message: str) -> None:
        self.answers[call.name] = skipped(call, self.run.step_id(call.name), kind, message)

    def _reserve(self, card: AgentCard, given: AgentInput) -> Amount | None:
        if self.run.budget == NO_LIMIT:
            return Amount()
        amount = upper_bound(card, input_bytes(given))
        rest = set_aside(self.run.budget, amount)
        if rest is not None:
            self.run.budget = rest
        return None if rest is None else amount

    def _addressed(self, event: Event, begun: Sequence[_Open]) -> Event:
        """The event with the agents that are asked to react, and what they may use."""
        cards = [self.run.agents[each.reaction.agent] for each in begun]
        budgets = [step_budget(self.run, card) for card in cards]
        limits = [each.max_output_tokens for each in budgets if each.max_output_tokens is not None]
        paid = [each.paid_attempts for each in budgets if each.paid_attempts is not None]
        return event.model_copy(
            update={
                "reactors": " ".join(card.name for card in cards),
                "deadline": max((each.deadline for each in begun), default=None),
                "maxtokens": min(limits, default=None),
                "paidattempts": min(paid, default=None),
            }
        )

    def _send(self, events: Sequence[Event]) -> Step[AgentResult | None]:
        """Put the events on the topic; what stands for every reaction to them when the topic did not take them."""
        publication = Publication(events=tuple(events), traceparent=self.run.traceparent)
        try:
            sent = yield self.run.ctx.call_activity(
                names.ACTIVITY_PUBLISH_EVENTS, input=publication.model_dump(mode="json"), retry_policy=ACTIVITY_RETRY
            )
        except TaskFailedError as error:
            return failed(StepStatus.REJECTED, "PublishFailed", f"the event could not be published: {error}")
        refused = PublishedEvents.model_validate(sent).refused
        return None if refused is None else AgentResult(status=StepStatus.REJECTED, error=refused)

    # -- ending -------------------------------------------------------------------------------------------------

    def _settle(self, name: str, ended: Ended) -> tuple[Reaction, Answer]:
        opened = self._open.pop(name)
        self.answers[name] = ended.answer
        if ended.used is not None:
            self.run.budget = give_back(self.run.budget, opened.reserved, ended.used)
        return opened.reaction, ended.answer

    def _set_timer(self) -> None:
        """Let the one timer run as long as the last of the open reactions may take, and no longer."""
        until = max((each.deadline for each in self._open.values()), default=self._until)
        if self._timer is None or until != self._until:
            if self._timer is not None:
                self._timer.cancel()
            self._timer, self._until = self.run.ctx.create_timer(until), until
