"""The agents of teams and of events, run as they are: what the model is told, and what comes of its answer."""

import json
from typing import Any

import pytest

from agents.catalog import CATALOG
from agents.outcomes import Answered
from agents.prompting import DATA_RULE
from shared.artifacts.references import referred
from shared.contracts import AgentResult, EventDraft
from shared.plans import Plan, PlanLimits, TeamReview
from shared.status import StepStatus
from tests.support.app_world import World, a_runner
from tests.support.documents import NOW, a_run, a_task

MANAGERS = ["research-manager", "content-manager"]
WITH_MODEL = ["planner", *MANAGERS, "scraper", "paper-analyst", "analyst", "notifier"]
EVENT = {"event": {"type": "DataReceived", "source": "/sensors/7", "data": {"rows": [3, 1, 2]}}}
PLANNING = {
    "goal": "Explain tides.",
    "agents": [
        {"name": "scraper", "description": "Pulls facts.", "manages": False},
        {"name": "writer", "description": "Writes.", "manages": False},
    ],
    "limits": PlanLimits().model_dump(),
}
REVIEWING = {
    "goal": "Explain tides.",
    "parts": [{"part": "draft", "by": "writer", "step": "draft"}, {"part": "final", "by": "editor", "step": "final"}],
    "last_round": False,
}
TASK: dict[str, Any] = {"id": "a", "agent": "writer", "instruction": "Go.", "manager": None, "needs": []}
PLAN_FORM = {"task": TASK, "further_tasks": []}
ANALYSIS = {"summary": "Three rows.", "findings": [], "anomalies": [], "confidence": "low"}
NOTICE = {"title": "Data came", "body": "Three rows came.", "urgency": "know", "reason": "Nothing to do."}
REVIEW = {"rework": [], "merged": "All of it."}


async def ran(world: World, agent: str, request: Any, *replies: Any, **task: Any) -> AgentResult:
    """What an agent of the catalog makes of a request when the model gives these replies."""
    world.replies = [reply if isinstance(reply, str) else json.dumps(reply) for reply in replies] or world.replies
    await world.store.create_run(a_run(steps=(agent,)))
    asked = a_task(agent, input={"request": request, **task})
    outcome = await a_runner(CATALOG.spec(agent), world.resources).run(asked, owner="first", enqueued_at=NOW)
    assert isinstance(outcome, Answered)
    return outcome.result


@pytest.mark.parametrize("agent", WITH_MODEL)
def test_what_an_agent_may_cost_covers_its_prompt_and_a_mended_answer(agent: str) -> None:
    card = CATALOG.cards[agent]
    assert (card.uses_model, card.model_calls) == (True, 2)
    assert card.prompt_tokens > 500


@pytest.mark.parametrize(
    ("agent", "request_", "reply"),
    [
        (
            "planner",
            PLANNING,
            PLAN_FORM,
        ),
        ("research-manager", REVIEWING, REVIEW),
        ("content-manager", REVIEWING, REVIEW),
        ("scraper", "Facts?", {"facts": [], "missing": "any page"}),
        ("paper-analyst", "Papers?", {"papers": [], "agreement": "", "open_questions": "Which?"}),
        ("analyst", EVENT, ANALYSIS),
        ("notifier", EVENT, NOTICE),
    ],
)
async def test_every_agent_is_told_that_material_is_no_instruction_and_answers_in_its_contract(
    world: World, agent: str, request_: Any, reply: Any
) -> None:
    result = await ran(world, agent, request_, reply)
    assert (result.status, result.error) == (StepStatus.SUCCEEDED, None)
    [asked] = world.model.requests
    assert asked.system.endswith(DATA_RULE)
    assert asked.format is not None
    assert isinstance(result.output, dict)
    assert set(result.output) == ({"tasks"} if agent == "planner" else set(reply))


@pytest.mark.parametrize("agent", WITH_MODEL)
async def test_an_answer_that_breaks_the_contract_twice_fails_the_step_for_good(world: World, agent: str) -> None:
    request: Any = PLANNING if agent == "planner" else REVIEWING if agent in MANAGERS else EVENT
    result = await ran(world, agent, request, {"wrong": 1}, "still wrong")
    assert result.error is not None
    assert (result.status, result.error.type, result.error.retryable) == (
        StepStatus.FAILED,
        "ModelAnswerInvalid",
        False,
    )
    assert result.events == ()


# -- the planner ------------------------------------------------------------------------------------------------


async def test_a_planner_can_name_only_agents_that_there_are(world: World) -> None:
    ghost = {**PLAN_FORM, "task": {**TASK, "agent": "ghost"}}
    result = await ran(world, "planner", PLANNING, ghost, PLAN_FORM)
    plan = Plan.model_validate(result.output)
    assert [task.agent for task in plan.tasks] == ["writer"]
    schema = json.dumps(world.model.requests[0].format.schema) if world.model.requests[0].format else ""
    assert '"scraper"' in schema
    assert '"writer"' in schema


async def test_ids_that_a_model_writes_in_its_own_way_still_name_the_same_tasks(world: World) -> None:
    tasks = [{**TASK, "id": "The Lead!"}, {**TASK, "id": "Step_1", "manager": "The Lead!", "needs": ["ZWEI (2)"]}]
    result = await ran(world, "planner", PLANNING, {"task": tasks[0], "further_tasks": tasks[1:]})
    plan = Plan.model_validate(result.output)
    assert [(task.id, task.manager, task.needs) for task in plan.tasks] == [
        ("the-lead", None, ()),
        ("step-1", "the-lead", ("zwei-2",)),
    ]


@pytest.mark.parametrize("request_", ["Explain tides.", {}, {**PLANNING, "agents": []}, {**PLANNING, "limits": None}])
async def test_a_planner_that_is_asked_for_no_plan_says_what_is_missing(world: World, request_: Any) -> None:
    result = await ran(world, "planner", request_)
    assert result.error is not None
    assert result.error.type == "InvalidRequest"
    assert "input.request" in result.error.message
    assert world.model.requests == []


# -- managers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("agent", MANAGERS)
async def test_a_managers_answer_is_a_review_of_the_parts_that_there_are(world: World, agent: str) -> None:
    said = [{"part": "draft", "comment": "Too long."}, {"part": "The Ghost", "comment": "Where is it?"}]
    result = await ran(world, agent, REVIEWING, {"rework": said, "merged": "Some of it."})
    review = TeamReview.model_validate(result.output)
    assert [(each.part, each.comment) for each in review.rework] == [("draft", "Too long.")]
    assert CATALOG.cards[agent].manages


async def test_a_manager_sees_which_output_is_which_part(world: World) -> None:
    earlier = [{"step_id": part, "agent": "writer", "output": f"the {part}"} for part in ("draft", "final")]
    await ran(world, "content-manager", REVIEWING, REVIEW, earlier=earlier)
    assert '<output agent="writer" step="draft">\nthe draft' in world.model.requests[0].user


async def test_a_long_merged_text_travels_by_reference_and_the_review_can_still_be_read(world: World) -> None:
    text = "A long article. " * 2000
    result = await ran(world, "content-manager", REVIEWING, {"rework": [], "merged": text})
    review = TeamReview.model_validate(result.output)
    reference = referred(review.model_dump(mode="json")["merged"])
    assert reference is not None
    assert (await world.resources.artifacts.get(reference.address)).decode() == text


# -- events -----------------------------------------------------------------------------------------------------


async def test_the_analyst_publishes_what_it_found(world: World) -> None:
    result = await ran(world, "analyst", EVENT, ANALYSIS)
    assert result.output == ANALYSIS
    assert result.events == (EventDraft(type="AnalysisCompleted", data=ANALYSIS),)


async def test_the_notifier_publishes_what_it_wrote_for_whoever_delivers_it(world: World) -> None:
    result = await ran(world, "notifier", EVENT, NOTICE)
    assert result.events == (EventDraft(type="NotificationReady", data=NOTICE),)


async def test_the_archiver_keeps_the_whole_event_under_one_address_however_often(world: World) -> None:
    result = await ran(world, "archiver", EVENT)
    assert world.model.requests == []
    output: Any = result.output
    kept = await world.resources.artifacts.get(output["address"])
    assert json.loads(kept) == EVENT
    assert len(kept) == output["bytes"]
    shuffled = {"event": dict(reversed(EVENT["event"].items()))}
    await world.store.create_run(a_run("run-2", steps=("archiver",)))
    task = a_task("archiver", task_id="run-2", input={"request": shuffled})
    again = await a_runner(CATALOG.spec("archiver"), world.resources).run(task, owner="first", enqueued_at=NOW)
    assert isinstance(again, Answered)
    second: Any = again.result.output
    assert second["bytes"] == output["bytes"]


def test_the_ready_made_subscriptions_are_as_the_documents_say() -> None:
    reacting = {
        card.name: [each.type for each in card.subscribes] for card in CATALOG.cards.values() if card.subscribes
    }
    assert reacting == {
        "analyst": ["DataReceived"],
        "notifier": ["DataReceived", "AnalysisCompleted"],
        "archiver": ["DataReceived"],
    }
    published = {name for card in CATALOG.cards.values() for name in card.publishes}
    assert published == {"AnalysisCompleted", "NotificationReady"}
