"""The context of the span that began a run goes with everything that its orchestrators ask for, and nowhere else."""

import json
from datetime import timedelta
from typing import Any

import pytest

from orchestrations.activities import begin_recorded, send_tasks
from orchestrations.calls import BeginRun, Dispatch, PlanUndo, Publication
from orchestrations.compensation import cancel_run
from orchestrations.requests import SequentialRequest
from orchestrations.starter import start_run
from orchestrations.undo_plan import plan_undo
from shared import names
from shared.cards import EventSubscription
from shared.contracts import AgentTask
from shared.errors import InvalidRequest
from shared.state.documents import RunDocument
from shared.status import RunStatus
from shared.telemetry import names as tracing
from shared.telemetry.attributes import FAULT_DOMAIN, PATTERN, TASK_ID
from tests.support.app_world import World
from tests.support.documents import NOW, a_card, a_claim, a_result, a_run, after, an_event
from tests.support.fake_orchestration import FakeOrchestration
from tests.support.kept_telemetry import KeptTelemetry
from tests.support.pattern_run import PatternRun

BEGAN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
NESTED: dict[str, Any] = {
    "pattern": "sequential",
    "request": "x",
    "agents": ["web", {"pattern": "parallel", "agents": ["news", "social"]}],
}


class Hub:
    """A task hub that schedules whatever it is asked to."""

    async def exists(self, instance_id: str) -> bool:
        return True

    async def schedule(self, orchestrator: str, instance_id: str, given: Any) -> None:
        self.given = given


def dispatches(run: PatternRun) -> list[Dispatch]:
    return [Dispatch.model_validate(given) for name, given in run.activities if name == "dispatch_agents"]


def test_every_dispatch_of_a_run_has_it_nested_ones_too() -> None:
    run = PatternRun(NESTED, traceparent=BEGAN)
    run.answer("web")
    assert [each.traceparent for each in dispatches(run)] == [BEGAN, BEGAN]


def test_an_agent_that_is_an_activity_is_given_it() -> None:
    run = PatternRun(NESTED, cards={"web": a_card("web", transport="activity", queue=None)}, traceparent=BEGAN)
    [given] = [given for name, given in run.activities if name == "web_activity"]
    assert given["traceparent"] == BEGAN


def test_the_events_of_a_run_are_published_with_it() -> None:
    cards = {"analyst": a_card("analyst", subscribes=[EventSubscription(type="DataReceived")])}
    asked = {"pattern": "event-driven", "event": "DataReceived", "request": 1}
    run = PatternRun(asked, cards=cards, traceparent=BEGAN)
    [given] = [given for name, given in run.activities if name == "publish_events"]
    assert Publication.model_validate(given).traceparent == BEGAN


def test_a_run_without_one_has_the_history_that_it_had_before_there_were_any() -> None:
    """But for an agent's task, which had a place for it from the start."""
    run = PatternRun(NESTED)
    run.answer("web")
    texts = [
        json.dumps(run.activities),
        json.dumps([child.input for child in run.root.ctx.sub_orchestrations]),
        an_event().model_dump_json(),
        a_run().model_dump_json(),
    ]
    assert [text for text in texts if "traceparent" in text] == []


async def test_what_a_cancelled_run_undoes_belongs_to_its_trace(world: World) -> None:
    request = {"pattern": "sequential", "request": "x", "compensate": "always"}
    asked = SequentialRequest.model_validate(request | {"agents": [{"agent": "research", "undo": "archiver"}]})
    run = a_run(steps=("research",), status=RunStatus.CANCELLING, traceparent=BEGAN)
    await world.store.create_run(run.model_copy(update={"status": RunStatus.RUNNING, "request": asked.model_dump()}))
    await world.store.claim_step(a_claim())
    await world.store.record_step("run-1", "research", owner="first", result=a_result("made"), now=after(1))
    cards = {name: a_card(name) for name in ("research", "archiver")}
    plan = await plan_undo(PlanUndo(task_id="run-1", occasion="on_cancel"), cards, world.resources)
    orchestration = FakeOrchestration(lambda ctx: cancel_run(ctx, {"task_id": "run-1"}), names.cancel_instance("run-1"))
    orchestration.complete("plan_undo", plan.model_dump(mode="json"))
    sent = Dispatch.model_validate(orchestration.complete("dispatch_agents", {}))
    assert (sent.steps[0].agent, sent.traceparent) == ("archiver", BEGAN)


async def test_a_start_is_kept_as_what_began_the_run_and_told_to_its_orchestrator(world: World) -> None:
    kept, hub = KeptTelemetry(), Hub()
    resources, cards = world.but(telemetry=kept), {name: a_card(name) for name in ("web", "news", "social")}
    request = SequentialRequest.model_validate(NESTED)
    run: RunDocument = await start_run(
        request, agents=cards, orchestrations=hub, resources=resources, traceparent=BEGAN
    )
    start = kept.span_named("start_run sequential")
    assert run.traceparent == f"{BEGAN[:36]}{start.context.span_id:016x}-01"
    assert start.attributes == {PATTERN: "sequential", TASK_ID: run.task_id}
    assert "traceparent" not in json.dumps(hub.given)
    begun = await begin_recorded(BeginRun(task_id=run.task_id, request=request), cards, resources)
    assert begun.traceparent == run.traceparent


async def test_a_start_that_is_refused_is_a_failed_span_and_no_run(world: World) -> None:
    kept = KeptTelemetry()
    request = SequentialRequest.model_validate(NESTED)
    with pytest.raises(InvalidRequest):
        await start_run(request, agents={}, orchestrations=Hub(), resources=world.but(telemetry=kept))
    assert (kept.span_named("start_run sequential").attributes or {})[FAULT_DOMAIN] == "input"


async def test_a_task_that_is_sent_has_the_context_of_its_sending_below_the_runs(world: World) -> None:
    kept = KeptTelemetry()
    step = {"step_id": "research", "agent": "research", "given": 0, "deadline": after(600), "reply_event": "r"}
    sent = {"task_id": "run-1", "reply_to": "run-1", "inputs": [{"request": 1}], "steps": [step], "traceparent": BEGAN}
    await send_tasks(Dispatch.model_validate(sent), world.but(telemetry=kept))
    [message] = world.bus.taken("research-tasks")
    span = kept.span_named("send research-tasks")
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == BEGAN[36:52]
    assert AgentTask.model_validate_json(message.body).traceparent == f"{BEGAN[:36]}{span.context.span_id:016x}-01"


async def test_a_run_that_was_scheduled_by_hand_has_the_context_of_its_first_activity(world: World) -> None:
    kept = KeptTelemetry()
    world.clock.move_to(NOW + timedelta(seconds=1))
    begin = BeginRun(task_id="by-hand", request=SequentialRequest.model_validate(NESTED))
    cards = {name: a_card(name) for name in ("web", "news", "social")}
    with kept.span(tracing.START_RUN, "host") as current:
        begun = await begin_recorded(begin, cards, world.but(telemetry=kept))
    assert begun.traceparent == current.traceparent
