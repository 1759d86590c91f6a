"""Reactions to events: run once however often the event is delivered, recorded, and answered to who published it."""

import json
from typing import Any

import pytest

from agents.context import AgentContext
from agents.delivery import Delivery, QueueConsumer
from agents.spec import AgentSpec
from agents.subscriptions import EventConsumer
from shared.cards import EventSubscription
from shared.contracts import MAX_EVENTS, AgentInput, AgentResult, AgentTask, EventDraft, ReplyTo
from shared.errors import AgentFailed, InvalidMessage, ModelUnavailable
from shared.events import Event
from shared.messaging.events import event_message
from shared.status import RunStatus, StepStatus
from tests.support.app_world import World, a_runner, an_agent
from tests.support.documents import NOW, a_run, a_run_result, an_event

ON_DATA = (EventSubscription(type="DataReceived"),)


class Answers:
    """What was answered to whom."""

    def __init__(self) -> None:
        self.given: list[tuple[ReplyTo, AgentResult]] = []

    async def __call__(self, to: ReplyTo, result: AgentResult) -> None:
        self.given.append((to, result))


async def publishing(context: AgentContext, given: AgentInput) -> Any:
    """Ask the model, and publish what it says."""
    text = await context.ask("system", str(given.request))
    context.publish("AnalysisCompleted", {"text": text}, subject="s")
    return text


def a_reacting_agent(handler: Any = publishing, **changes: Any) -> AgentSpec:
    return an_agent(handler, subscribes=ON_DATA, publishes=("AnalysisCompleted",), **changes)


async def delivered(
    world: World, event: Event | bytes, answers: Answers, spec: AgentSpec | None = None, *, owner: str = "delivery-1"
) -> None:
    """One delivery of `event` to the agent's subscription."""
    spec = spec or a_reacting_agent()
    body = event if isinstance(event, bytes) else (await event_message(event, world.resources.artifacts)).body
    consumer = EventConsumer(QueueConsumer(a_runner(spec, world.resources), world.resources))
    await consumer.consume(spec.card(), body, Delivery(owner, answers, NOW))


@pytest.fixture
async def answers(world: World) -> Answers:
    await world.store.create_run(a_run(steps=()))
    return Answers()


async def test_a_reaction_is_recorded_with_its_events_and_answered_to_the_instance_that_published(
    world: World, answers: Answers
) -> None:
    await delivered(world, an_event(replyto="run-1-inner"), answers)
    [(to, result)] = answers.given
    assert (to.instance_id, to.event) == ("run-1-inner", "agent-reply-e1.tester")
    assert result.events == (EventDraft(type="AnalysisCompleted", data={"text": "An answer."}, subject="s"),)
    step = await world.step()
    assert (step.step_id, step.status, step.result) == ("e1.tester", StepStatus.SUCCEEDED, result)


async def test_a_second_delivery_is_answered_from_the_record_with_the_same_events(
    world: World, answers: Answers
) -> None:
    await delivered(world, an_event(), answers)
    await delivered(world, an_event(), answers, owner="delivery-2")
    assert answers.given[0] == answers.given[1]
    assert len(world.model.requests) == 1


async def test_a_failed_attempt_comes_back_as_a_task_on_the_agents_own_queue(world: World, answers: Answers) -> None:
    """A topic would give a copy to every other agent that reacts, too."""
    world.replies[:] = [ModelUnavailable("down"), "Better now."]
    await delivered(world, an_event(), answers)
    assert answers.given == []
    [copy] = world.bus.taken("tester-tasks")
    task = AgentTask.model_validate_json(copy.body)
    assert (task.step_id, task.attempt, task.input) == ("e1.tester", 2, AgentTask.model_validate_json(copy.body).input)
    assert task.reply_to == ReplyTo(instance_id="run-1", event="agent-reply-e1.tester")


async def test_a_failed_attempt_publishes_nothing(world: World, answers: Answers) -> None:
    async def publish_then_fail(context: AgentContext, given: AgentInput) -> Any:
        context.publish("AnalysisCompleted", {})
        raise ValueError("changed my mind")

    with pytest.raises(AgentFailed, match="ValueError"):
        await delivered(world, an_event(), answers, a_reacting_agent(publish_then_fail))
    [(_, result)] = answers.given
    assert (result.status, result.events) == (StepStatus.FAILED, ())


async def test_an_event_of_a_run_that_is_over_costs_nothing(world: World, answers: Answers) -> None:
    await world.store.advance_run("run-1", RunStatus.CANCELLED, now=NOW, result=a_run_result(RunStatus.CANCELLED))
    await delivered(world, an_event(), answers)
    assert (answers.given, world.model.requests) == ([], [])


async def test_an_event_of_a_run_that_nobody_knows_is_refused_before_anything_is_run(
    world: World, answers: Answers
) -> None:
    with pytest.raises(InvalidMessage, match="no run made-up is known"):
        await delivered(world, an_event(rootid="made-up"), answers)
    assert world.model.requests == []


async def test_an_event_that_the_agent_does_not_react_to_is_refused(world: World, answers: Answers) -> None:
    with pytest.raises(InvalidMessage, match="tester does not react to Other"):
        await delivered(world, an_event(type="Other"), answers)
    assert world.model.requests == []


async def test_an_agent_that_is_not_asked_lets_the_event_pass(world: World, answers: Answers) -> None:
    """It was cut off, or it has subscribed since the event was published."""
    await delivered(world, an_event(reactors="analyst"), answers)
    assert (answers.given, world.model.requests) == ([], [])
    assert (await world.record()).steps == ()


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"\xff", json.dumps({"specversion": "1.0"}).encode()])
async def test_a_body_that_is_no_event_is_refused(world: World, answers: Answers, body: bytes) -> None:
    with pytest.raises(InvalidMessage, match="is no event"):
        await delivered(world, body, answers)


async def test_large_data_is_fetched_before_the_agent_runs(world: World, answers: Answers) -> None:
    await delivered(world, an_event(data="y" * 60_000), answers)
    assert "y" * 60_000 in world.model.requests[0].user


# -- what an agent may publish ----------------------------------------------------------------------------------


async def publish_undeclared(context: AgentContext, given: AgentInput) -> Any:
    context.publish("Undeclared", {})


async def publish_no_json(context: AgentContext, given: AgentInput) -> Any:
    context.publish("AnalysisCompleted", float("nan"))


async def publish_too_much(context: AgentContext, given: AgentInput) -> Any:
    for _ in range(MAX_EVENTS + 1):
        context.publish("AnalysisCompleted", {})


async def publish_too_large(context: AgentContext, given: AgentInput) -> Any:
    for _ in range(2):
        context.publish("AnalysisCompleted", "x" * 40_000)


@pytest.mark.parametrize(
    ("handler", "why"),
    [
        (publish_too_large, "keep large data as artifacts"),
        (publish_undeclared, "may not publish 'Undeclared'"),
        (publish_no_json, "cannot be published"),
        (publish_too_much, "more than 20"),
    ],
)
async def test_an_agent_that_publishes_what_it_may_not_has_failed(
    world: World, answers: Answers, handler: Any, why: str
) -> None:
    with pytest.raises(AgentFailed, match="AgentOutputInvalid"):
        await delivered(world, an_event(), answers, a_reacting_agent(handler))
    [(_, result)] = answers.given
    assert result.error is not None
    assert (result.error.type, result.events) == ("AgentOutputInvalid", ())
    assert why in result.error.message
