"""Runs a pattern's own orchestrator by hand, nested ones included: the test says what becomes of each agent, and when.

Sending and recording happen by themselves; nested patterns run as the sub-orchestrations that they are.
"""

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

from orchestrations.calls import (
    Begun,
    CallOff,
    Dispatch,
    Dispatched,
    Publication,
    PublishedEvents,
    QueuedStep,
    Rejection,
    RunUpdate,
)
from orchestrations.nodes import PatternRequest
from orchestrations.registry import PATTERNS
from shared.cards import AgentCard
from shared.contracts import AgentInput, AgentResult, ErrorInfo, RunResult
from shared.events import Event, reaction_task
from shared.names import nested_instance
from tests.support.documents import a_card, a_result
from tests.support.fake_orchestration import FakeOrchestration

REFUSED = ErrorInfo(type="NotFound", message="there is no such queue")


class PatternRun:
    """One run of a request. `refused` are the ids of steps whose queue takes nothing.

    `sent` is what was put on queues, by step id, and the reactions that published events ask for; `inputs` what those
    agents were given; `published` the events on the topic; `updates` what was recorded. The topic takes nothing of the
    event type `refused_event`. `called_off` are the paths that were, `stopped` the nested patterns among them; with
    `calls_off` false the run is one that began before anything was. `traceparent` is the context of what began it.
    """

    def __init__(
        self,
        request: PatternRequest | Mapping[str, Any],
        *,
        cards: Mapping[str, AgentCard] | None = None,
        refused: Collection[str] = (),
        refused_event: str = "",
        task_id: str = "run-1",
        calls_off: bool = True,
        traceparent: str | None = None,
    ) -> None:
        given = request.model_dump(mode="json") if isinstance(request, PatternRequest) else dict(request)
        contract = PATTERNS[given["pattern"]]
        names = contract.request.model_validate(given).agent_names()
        self.cards = {name: a_card(name) for name in names} | dict(cards or {})
        self.refused = set(refused)
        self.sent: dict[str, QueuedStep] = {}
        self.inputs: dict[str, AgentInput] = {}
        self.published: list[Event] = []
        self._refused_event = refused_event
        self._calls_off = calls_off
        self._traceparent = traceparent
        self.called_off: list[str] = []
        self.stopped: list[str] = []
        self.batches: list[list[str]] = []
        self.updates: list[RunUpdate] = []
        self.activities: list[tuple[str, Any]] = []
        self.children: dict[str, FakeOrchestration[Any]] = {}
        self.root = FakeOrchestration(lambda ctx: contract.orchestrator(ctx, given), task_id)
        self._settle()

    # -- what the test does -------------------------------------------------------------------------------------

    def answer(self, step_id: str, result: AgentResult | Any = None) -> None:
        """Let an agent answer; anything but an `AgentResult` is its output."""
        if not isinstance(result, AgentResult):
            result = a_result(f"{step_id}'s" if result is None else result)
        self.raise_reply(step_id, result.model_dump(mode="json"))

    def raise_reply(self, step_id: str, data: Any) -> None:
        """Raise a step's reply event with any data, on whoever asked."""
        self._asker(step_id).raise_event(self.sent[step_id].reply_event, data)
        self._settle()

    def pass_time(self, seconds: float) -> None:
        """Move the time of every orchestration, the nested ones first, as their timers are earlier."""
        for orchestration in [*reversed(self.children.values()), self.root]:
            orchestration.pass_time(timedelta(seconds=seconds))
            self._settle()

    # -- what the test sees -------------------------------------------------------------------------------------

    @property
    def open(self) -> list[str]:
        """The steps that were sent and whose answers are still waited for."""
        return [step for step in self.sent if self._is_open(step)]

    @property
    def over(self) -> bool:
        """Whether the orchestration has returned."""
        return self.root.over

    @property
    def result(self) -> RunResult:
        """What it returned."""
        assert self.root.over, f"it still waits for {self.open}"
        assert self.root.error is None, self.root.error
        return RunResult.model_validate(self.root.result)

    def outcomes(self) -> dict[str, str]:
        """The account: the outcome of each step."""
        return {line.step_id: line.outcome.value for line in self.result.account}

    # -- the world around the orchestrations --------------------------------------------------------------------

    def _all(self) -> list[FakeOrchestration[Any]]:
        return [self.root, *self.children.values()]

    def _asker(self, step_id: str) -> FakeOrchestration[Any]:
        event = self.sent[step_id].reply_event
        askers = [each for each in self._all() if event in each.ctx.events]
        return askers[0] if askers else self.root

    def _is_open(self, step_id: str) -> bool:
        asker = self._asker(step_id)
        event = asker.ctx.events.get(self.sent[step_id].reply_event)
        return not asker.over and event is not None and not event.is_complete

    def _settle(self) -> None:
        while any(self._move(each) for each in self._all()):
            pass

    def _move(self, orchestration: FakeOrchestration[Any]) -> bool:
        for sub in orchestration.ctx.sub_orchestrations:
            if self._move_sub(orchestration, sub):
                return True
        for activity in orchestration.pending():
            reply = self._activity(activity.name, activity.input)
            if reply is not None:
                activity.task.complete(reply)
                orchestration.resume()
                return True
        return False

    def _move_sub(self, parent: FakeOrchestration[Any], sub: Any) -> bool:
        if sub.task.is_complete:
            return False
        child = self.children.get(sub.instance_id)
        if child is None:
            orchestrator = next(each for name, each in PATTERNS.items() if name.replace("-", "_") == sub.name)
            child = FakeOrchestration(lambda ctx: orchestrator.orchestrator(ctx, sub.input), sub.instance_id)
            child.ctx.now = parent.ctx.now
            self.children[sub.instance_id] = child
            return True
        if not child.over:
            return False
        if child.error is not None:
            sub.task.fail(str(child.error), child.error)
        else:
            sub.task.complete(child.result)
        parent.resume()
        return True

    def _activity(self, name: str, given: Any) -> Any:
        """The result of an activity that completes by itself; None for one that the test completes."""
        self.activities.append((name, given))
        match name:
            case "begin_run":
                begun = Begun(agents=self.cards, calls_off=self._calls_off, traceparent=self._traceparent)
                return begun.model_dump(mode="json")
            case "call_off":
                return self._call_off(CallOff.model_validate(given))
            case "record_run":
                self.updates.append(RunUpdate.model_validate(given))
                return {}
            case "dispatch_agents":
                return self._dispatch(Dispatch.model_validate(given)).model_dump(mode="json")
            case "publish_events":
                return self._publish(Publication.model_validate(given)).model_dump(mode="json")
            case _:
                return None

    def _call_off(self, asked: CallOff) -> dict[str, Any]:
        self.called_off += asked.steps
        for path in asked.nested:
            self.stopped.append(path)
            self.children[nested_instance(asked.task_id, path)].stop()
        return {}

    def _publish(self, publication: Publication) -> PublishedEvents:
        if any(event.type == self._refused_event for event in publication.events):
            return PublishedEvents(refused=REFUSED)
        self.published += publication.events
        for task in (reaction_task(event, name) for event in publication.events for name in event.reactors.split()):
            if task.reply_to is not None and task.deadline is not None and isinstance(task.input, AgentInput):
                event = task.reply_to.event
                self.sent[task.step_id] = QueuedStep(
                    step_id=task.step_id, agent=task.agent, given=0, deadline=task.deadline, reply_event=event
                )
                self.inputs[task.step_id] = task.input
        return PublishedEvents()

    def _dispatch(self, dispatch: Dispatch) -> Dispatched:
        rejected = [step.step_id for step in dispatch.steps if step.step_id in self.refused]
        taken = [step for step in dispatch.steps if step.step_id not in self.refused]
        self.sent |= {step.step_id: step for step in taken}
        self.inputs |= {step.step_id: dispatch.inputs[step.given] for step in taken}
        self.batches.append([step.step_id for step in dispatch.steps])
        return Dispatched(rejected=tuple(Rejection(step_id=step_id, error=REFUSED) for step_id in rejected))
