"""The tenant and the session of a request reach every agent of its run; without them messages are as they were."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrations.activities import send_tasks
from orchestrations.calls import Dispatch
from orchestrations.door import check_request
from orchestrations.requests import ParallelRequest, SequentialRequest
from orchestrations.starter import asked
from shared.cards import EventSubscription
from shared.contracts import AgentTask
from shared.errors import InvalidRequest
from shared.events import reaction_task
from tests.support.app_world import World
from tests.support.documents import a_card, a_task, after, an_event
from tests.support.pattern_run import PatternRun

WHOSE = {"tenant": "acme", "session": "s-1"}
NESTED: dict[str, Any] = {
    "pattern": "sequential",
    "request": "x",
    "agents": ["web", {"pattern": "parallel", "agents": ["news", "social"]}],
}


def dispatches(run: PatternRun) -> list[Dispatch]:
    return [Dispatch.model_validate(given) for name, given in run.activities if name == "dispatch_agents"]


def test_every_dispatch_of_a_run_says_for_whom_nested_ones_too() -> None:
    run = PatternRun(NESTED | WHOSE)
    run.answer("web")
    assert [[step.agent for step in each.steps] for each in dispatches(run)] == [["web"], ["news", "social"]]
    assert {(each.tenant, each.session) for each in dispatches(run)} == {("acme", "s-1")}


def test_a_nested_pattern_is_of_the_version_of_its_run() -> None:
    run = PatternRun(NESTED | WHOSE)
    run.answer("web")
    [nested] = run.root.ctx.sub_orchestrations
    assert nested.version == run.root.ctx.version == "1.0"


def test_an_agent_that_is_an_activity_is_told_for_whom() -> None:
    run = PatternRun(NESTED | WHOSE, cards={"web": a_card("web", transport="activity", queue=None)})
    [given] = [given for name, given in run.activities if name == "web_activity"]
    assert (given["tenant"], given["session"]) == ("acme", "s-1")


def test_reactions_to_a_runs_events_are_told_for_whom() -> None:
    cards = {"analyst": a_card("analyst", subscribes=[EventSubscription(type="DataReceived")])}
    run = PatternRun({"pattern": "event-driven", "event": "DataReceived", "request": 1} | WHOSE, cards=cards)
    task = reaction_task(run.published[0], "analyst")
    assert (task.tenant, task.session) == ("acme", "s-1")


async def test_a_task_on_a_queue_says_for_whom(world: World) -> None:
    task = a_task(deadline=after(600))
    step = {"step_id": "research", "agent": "research", "given": 0, "deadline": after(600), "reply_event": "r"}
    sent = {"task_id": "run-1", "reply_to": "run-1", "inputs": [task.input], "steps": [step], **WHOSE}
    await send_tasks(Dispatch.model_validate(sent), world.resources)
    [message] = world.bus.taken("research-tasks")
    assert WHOSE.items() <= json.loads(message.body).items()


def test_without_a_tenant_or_session_messages_requests_and_events_are_what_they_were_before_there_were_any() -> None:
    request = SequentialRequest.model_validate(NESTED)
    run = PatternRun(NESTED)
    run.answer("web")
    texts = [
        a_task().model_dump_json(),
        an_event().model_dump_json(),
        json.dumps(asked(request)),
        json.dumps(run.activities),
        json.dumps([child.input for child in run.root.ctx.sub_orchestrations]),
    ]
    assert [text for text in texts if "tenant" in text or "session" in text] == []


@pytest.mark.parametrize("name", ["tenant", "session"])
@pytest.mark.parametrize("value", ["", "a/b", "a b", "-a", "ä", "a" * 101, 7, "a\n"])
def test_what_is_no_name_of_a_tenant_or_session_is_refused_at_every_door(name: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=name):
        AgentTask.model_validate({**a_task().model_dump(), name: value})
    with pytest.raises(ValidationError, match=name):
        SequentialRequest.model_validate(NESTED | {name: value})


@pytest.mark.parametrize("name", ["tenant", "session"])
def test_only_the_outermost_request_says_for_whom(name: str) -> None:
    inner = {"pattern": "sequential", "agents": ["web"], name: "other"}
    request = ParallelRequest.model_validate({"pattern": "parallel", "request": "x", "agents": [inner]})
    with pytest.raises(InvalidRequest) as refused:
        check_request(request, {"web": a_card("web")})
    assert refused.value.field == f"agents.0.{name}"
