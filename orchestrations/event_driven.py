"""The event-driven pattern (publish-subscribe): agents react to an event, and to the events that reactions publish.

Wiring: event -> topic -> every agent that subscribes to its type -> their events -> topic -> ... until nothing is in
flight any more, or the deadline comes. The result is the whole causal tree.
"""

from collections.abc import Mapping
from typing import Any

from durabletask.task import OrchestrationContext
from pydantic import JsonValue

from orchestrations.account import first_failure, run_result
from orchestrations.branches import Step
from orchestrations.causality import CausalTree, subscribers_of
from orchestrations.frame import run_pattern
from orchestrations.reactions import Reactions
from orchestrations.requests import EventDrivenRequest
from orchestrations.requirements import required
from orchestrations.run import Answer, Run
from shared.contracts import AgentInput, ErrorInfo, EventDraft, RunResult
from shared.status import RunStatus


def event_driven(ctx: OrchestrationContext, given: dict[str, Any]) -> Step[dict[str, Any]]:
    """Run an `EventDrivenRequest` and return a `RunResult`, both as JSON.

    Determinism contract: reads only its input, the orchestration's clock and the results of durable tasks.
    """
    return (yield from run_pattern(ctx, given, EventDrivenRequest, follow))


def follow(run: Run[EventDrivenRequest]) -> Step[RunResult]:
    """Publish the first event, and whatever the reactions want published, until nothing is in flight."""
    tree = CausalTree(subscribers_of(run.agents.values()), run.request.limits)
    reactions = Reactions(run, tree)
    yield from reactions.publish([tree.begin(first_event(run.request, run.given))])
    while reactions.in_flight:
        run.progress(events=len(tree.events), reactions=len(tree.reactions), in_flight=reactions.in_flight)
        come = yield from reactions.wait()
        if not come:
            break
        for reaction, answer in come:
            if answer.succeeded:
                yield from reactions.publish(tree.publish(reaction, answer.result.events))
    reactions.finish()
    return conclude(run.request, tree, reactions.answers)


# -- decisions ----------------------------------------------------------------------------------------------------


def first_event(request: EventDrivenRequest, given: AgentInput) -> EventDraft:
    """The event that a run begins with: its data is the request and, nested, what was made before it."""
    data = given.request
    if given.earlier:
        earlier: list[JsonValue] = [each.model_dump(mode="json") for each in given.earlier]
        data = {"request": given.request, "earlier": earlier}
    return EventDraft(type=request.event, subject=request.subject, data=data)


def conclude(request: EventDrivenRequest, tree: CausalTree, answers: Mapping[str, Answer]) -> RunResult:
    """The run's result and account, in the order in which the reactions were asked for.

    Completed: every reaction succeeded, and no limit kept an event from being published. Partial: as many as the
    request requires did. Failed: fewer did, or nobody reacts to the first event.
    """
    everything = [answers[reaction.name] for reaction in tree.reactions]
    good = sum(answer.succeeded for answer in everything)
    complete = bool(everything) and good == len(everything)
    enough = bool(everything) and good >= required(request.require, len(everything))
    result = causal_record(tree, answers)
    if not enough:
        return run_result(RunStatus.FAILED, everything, result=result, error=_too_few(request, everything, good))
    status = RunStatus.COMPLETED if complete and not tree.truncated else RunStatus.PARTIAL
    return run_result(status, everything, result=result)


def causal_record(tree: CausalTree, answers: Mapping[str, Answer]) -> JsonValue:
    """The causal tree as data: the events by what caused them, the reactions to them, and what was cut and why."""
    events: list[JsonValue] = [
        {
            "id": event.id,
            "type": event.draft.type,
            "subject": event.draft.subject,
            "hop": event.hop,
            "caused_by": event.cause,
            "published_by": event.by,
        }
        for event in tree.events
    ]
    reactions: list[JsonValue] = [
        {
            "name": reaction.name,
            "event": reaction.event.id,
            "agent": reaction.agent,
            "status": answers[reaction.name].result.status.value,
            "output": answers[reaction.name].result.output,
        }
        for reaction in tree.reactions
    ]
    cut: list[JsonValue] = [
        {"event": cut.event, "type": cut.type, "agent": cut.agent, "reason": cut.reason.value, "cause": str(cut)}
        for cut in tree.cuts
    ]
    return {"events": events, "reactions": reactions, "cut": cut}


def _too_few(request: EventDrivenRequest, everything: list[Answer], good: int) -> ErrorInfo:
    if not everything:
        return ErrorInfo(type="NobodySubscribes", message=f"no agent subscribes to {request.event}")
    wanted = required(request.require, len(everything))
    message = f"{good} of {len(everything)} reactions succeeded, {wanted} are required"
    cause = first_failure(everything)
    return ErrorInfo(
        type="TooFewReactions", message=f"{message}; the first cause: {cause.message}" if cause else message
    )
