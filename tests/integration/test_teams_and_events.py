"""Teams under managers, and agents that react to events, on the whole system: HTTP in, the topic, agents, a record."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from azure.servicebus import ServiceBusMessage, ServiceBusSubQueue
from azure.servicebus.aio import ServiceBusClient

from orchestrations.outside_events import event_key
from orchestrations.starter import run_id
from shared.events import OutsideEvent
from tests.support.chat_model import chat_model
from tests.support.deciding_model import DecidingModel
from tests.support.eventually import eventually
from tests.support.muster_host import MusterHost, muster_host

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEAM = {"preset": "editorial", "request": {"topic": "Tides", "pages": ["The moon pulls."]}}
DATA = {"event": "DataReceived", "request": {"rows": [3, 1, 2]}}
ANALYSIS = {"summary": "Three rows.", "findings": [], "anomalies": [], "confidence": "low"}
NOTICE = {"title": "Data came", "body": "Three rows came.", "urgency": "know", "reason": "Nothing to do."}
EXTRACT: dict[str, Any] = {"facts": [], "missing": "more pages"}
PAPERS: dict[str, Any] = {"papers": [], "agreement": "None.", "open_questions": "Which?"}


def review(merged: str, **rework: str) -> dict[str, Any]:
    return {"rework": [{"part": part, "comment": said} for part, said in rework.items()], "merged": merged}


OFFICE: dict[str, Any] = {
    "scraper": EXTRACT,
    "paper_analyst": PAPERS,
    "research_manager": review("The dossier."),
    "writer": "A draft.",
    "editor": "An edited draft.",
    "content_manager": review("The article."),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model() -> AsyncIterator[DecidingModel]:
    deciding = DecidingModel()
    async with chat_model(deciding):
        yield deciding


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host(tmp_path_factory: pytest.TempPathFactory, model: DecidingModel) -> AsyncIterator[MusterHost]:
    async with muster_host(tmp_path_factory.mktemp("teams"), model_url=model.url) as running:
        yield running


async def ran(host: MusterHost, pattern: str, body: Any) -> dict[str, Any]:
    status, answer, _ = await host.post(f"/api/workflows/{pattern}", json.dumps(body).encode())
    assert status == 202, answer
    return await host.finished(str(answer["task_id"]))


def outcomes(task: dict[str, Any]) -> dict[str, str]:
    return {line["step_id"]: line["outcome"] for line in task["account"]}


# -- hierarchical -----------------------------------------------------------------------------------------------


async def test_an_editorial_office_makes_a_dossier_and_an_article_of_it(host: MusterHost, model: DecidingModel) -> None:
    model.begin(**OFFICE)
    task = await ran(host, "hierarchical", TEAM)
    assert (task["status"], task["result"], task["error"]) == ("completed", "The article.", None)
    assert outcomes(task) == dict.fromkeys(
        [
            "research.scraper",
            "research.paper-analyst",
            "research.manager_1",
            "content.writer",
            "content.editor",
            "content.manager_1",
        ],
        "answered",
    )
    assert set(model.calls.values()) == {1}
    told = next(
        each["messages"][-1]["content"]
        for each in model.requests
        if "a writer of clear" in each["messages"][0]["content"]
    )
    assert "The dossier." in told


async def test_a_part_that_a_manager_sends_back_is_made_again(host: MusterHost, model: DecidingModel) -> None:
    model.begin(**{**OFFICE, "content_manager": [review("Too early.", writer="Too dry."), review("The article.")]})
    task = await ran(host, "hierarchical", TEAM)
    assert (task["status"], task["result"]) == ("completed", "The article.")
    assert {step["step_id"]: step["status"] for step in task["steps"]}["content.writer_2"] == "succeeded"
    assert (model.calls["writer"], model.calls["content-manager"]) == (2, 2)


async def test_a_planner_mends_a_plan_that_was_refused(host: MusterHost, model: DecidingModel) -> None:
    task_of: dict[str, Any] = {"agent": "writer", "instruction": "Write.", "manager": None, "needs": []}
    first, second = {**task_of, "id": "a", "needs": ["b"]}, {**task_of, "id": "b", "needs": ["a"]}
    cyclic = {"task": first, "further_tasks": [second]}
    good = {"task": {**task_of, "id": "draft"}, "further_tasks": []}
    model.begin(planner=[cyclic, good], writer="Written.")
    task = await ran(host, "hierarchical", {"planner": "planner", "agents": ["writer", "editor"], "request": "Tides."})
    assert (task["status"], task["result"]) == ("completed", "Written.")
    assert outcomes(task) == {"planner_1": "answered", "planner_2": "answered", "draft": "answered"}
    refusal = model.requests[1]["messages"][-1]["content"]
    assert "the needs go round in a circle: a -> b -> a" in refusal


async def test_a_planner_that_answers_rubbish_every_time_ends_the_run_with_the_reason(
    host: MusterHost, model: DecidingModel
) -> None:
    model.begin(planner="This is no plan.")
    task = await ran(host, "hierarchical", {"planner": "planner", "request": "Tides."})
    assert (task["status"], task["error"]["type"]) == ("failed", "PlanRefused")
    assert model.calls["planner"] == 6, "three plans, each sent back once by the agent itself"
    assert outcomes(task) == {"planner_1": "failed", "planner_2": "failed", "planner_3": "failed"}


# -- event-driven -----------------------------------------------------------------------------------------------


async def test_data_reaches_analyst_notifier_and_archiver_and_the_analysis_the_notifier(
    host: MusterHost, model: DecidingModel
) -> None:
    model.begin(analyst=ANALYSIS, notifier=NOTICE)
    task = await ran(host, "event-driven", DATA)
    assert (task["status"], task["error"]) == ("completed", None)
    record = task["result"]
    events = {each["id"]: each for each in record["events"]}
    reacted = {(each["agent"], events[each["event"]]["type"]) for each in record["reactions"]}
    assert reacted == {
        ("analyst", "DataReceived"),
        ("archiver", "DataReceived"),
        ("notifier", "DataReceived"),
        ("notifier", "AnalysisCompleted"),
    }
    analysis = next(each for each in record["events"] if each["type"] == "AnalysisCompleted")
    assert (analysis["caused_by"], analysis["published_by"], analysis["hop"]) == ("e1", "e1.analyst", 1)
    assert sorted(each["type"] for each in record["events"]).count("NotificationReady") == 2
    assert record["cut"] == []
    assert dict(model.calls) == {"analyst": 1, "notifier": 2}
    assert set(outcomes(task).values()) == {"answered"}
    assert {step["step_id"]: [each["type"] for each in step["events"]] for step in task["steps"]} == {
        "e1.analyst": ["AnalysisCompleted"],
        "e1.archiver": [],
        "e1.notifier": ["NotificationReady"],
        f"{analysis['id']}.notifier": ["NotificationReady"],
    }


async def test_an_agent_that_fails_does_not_hold_up_the_others(host: MusterHost, model: DecidingModel) -> None:
    model.begin(analyst="no JSON", notifier=NOTICE)
    task = await ran(host, "event-driven", DATA)
    assert task["status"] == "partial"
    assert outcomes(task) == {"e1.analyst": "failed", "e1.archiver": "answered", "e1.notifier": "answered"}


async def test_large_data_reaches_the_agents_whole(host: MusterHost, model: DecidingModel) -> None:
    model.begin(analyst=ANALYSIS, notifier=NOTICE)
    task = await ran(host, "event-driven", {**DATA, "request": {"rows": "x" * 60_000}})
    assert task["status"] == "completed"
    archived = next(each["output"] for each in task["result"]["reactions"] if each["agent"] == "archiver")
    assert archived["bytes"] > 60_000


async def test_a_reaction_nested_in_a_sequence_gets_what_came_before(host: MusterHost, model: DecidingModel) -> None:
    model.begin(analyst=ANALYSIS, notifier=NOTICE, writer="A draft.")
    nested = {"pattern": "event-driven", "event": "AnalysisCompleted"}
    task = await ran(host, "sequential", {"request": "Tides.", "agents": ["writer", nested]})
    assert task["status"] == "completed"
    assert outcomes(task) == {"writer": "answered", "event-driven.e1.notifier": "answered"}
    assert "A draft." in model.requests[-1]["messages"][-1]["content"]


# -- events from outside ------------------------------------------------------------------------------------------

OUTSIDE: dict[str, Any] = {
    "specversion": "1.0",
    "id": "reading-1",
    "source": "/sensors/7",
    "type": "DataReceived",
    "data": {"celsius": 41.2},
}
TOPIC, ADMISSION = "agent-events", "outside.events"


async def send(host: MusterHost, *messages: ServiceBusMessage) -> None:
    client = ServiceBusClient.from_connection_string(host.connection_string)
    async with client, client.get_topic_sender(TOPIC) as sender:
        for message in messages:
            await sender.send_messages(message)


def run_of(event: dict[str, Any]) -> str:
    return run_id("event-driven", event_key(OutsideEvent.model_validate(event)))


async def are_dead(host: MusterHost, subscription: str, wanted: list[bytes]) -> bool:
    """Whether all of these bodies come to be among the subscription's dead letters."""
    client = ServiceBusClient.from_connection_string(host.connection_string)
    queue = ServiceBusSubQueue.DEAD_LETTER
    bodies: set[bytes] = set()
    async with client, client.get_subscription_receiver(TOPIC, subscription, sub_queue=queue) as receiver:

        async def all_there() -> bool:
            for message in await receiver.receive_messages(max_message_count=10, max_wait_time=1):
                bodies.add(b"".join(message.body))
                await receiver.complete_message(message)
            return bodies.issuperset(wanted)

        return bool(await eventually(all_there, within=30.0, every=0.05))


async def test_an_event_that_a_producer_puts_on_the_topic_is_a_run_to_be_looked_up(
    host: MusterHost, model: DecidingModel
) -> None:
    model.begin(analyst=ANALYSIS, notifier=NOTICE)
    body = json.dumps(OUTSIDE)
    await send(host, ServiceBusMessage(body), ServiceBusMessage(body, subject="anything"))

    async def there() -> bool:
        return (await host.get(f"/api/task/{run_of(OUTSIDE)}"))[0] == 200

    assert await eventually(there, within=20.0, every=0.05)
    task = await host.finished(run_of(OUTSIDE))
    assert (task["status"], task["type"], task["input"]) == ("completed", "event-driven", {"celsius": 41.2})
    assert len(task["result"]["reactions"]) == 4
    assert dict(model.calls) == {"analyst": 1, "notifier": 2}, "the second message is the same event"
    assert all("/sensors/7" in each["messages"][-1]["content"] for each in model.requests[:1])


async def test_what_is_no_event_is_left_to_the_dead_letters_and_the_log_says_why(
    host: MusterHost, model: DecidingModel
) -> None:
    model.begin()
    bad = [b"no JSON", json.dumps({**OUTSIDE, "type": "Ghost"}).encode(), json.dumps({"specversion": "1.0"}).encode()]
    await send(host, *(ServiceBusMessage(body) for body in bad))
    assert await are_dead(host, ADMISSION, bad)
    for why in ("Invalid JSON", "no agent subscribes to Ghost", "is no event: id: Field required"):
        assert why in host.process.log
    assert not model.calls


async def test_an_event_that_only_claims_to_be_of_a_run_costs_nothing(host: MusterHost, model: DecidingModel) -> None:
    model.begin(analyst=ANALYSIS)
    forged = json.dumps(
        {**OUTSIDE, "id": "e1", "rootid": "nobody", "hop": 0, "reactors": "analyst", "replyto": "nobody"}
    )
    await send(host, ServiceBusMessage(forged, subject="DataReceived", to="agents"))
    assert await are_dead(host, "analyst", [forged.encode()])
    assert not model.calls


@pytest.mark.parametrize(
    ("pattern", "body", "field"),
    [
        ("event-driven", {"event": "Ghost", "request": 1}, "event"),
        ("event-driven", {"event": "DataReceived"}, "request"),
        ("event-driven", {"event": "DataReceived", "request": 1, "limits": {"max_hops": 99}}, "limits.max_hops"),
        ("event-driven", {"request": 1}, "event"),
        ("hierarchical", {"request": "x", "workers": ["ghost"]}, "workers.0"),
        ("hierarchical", {"request": "x", "workers": ["writer"], "manager": "editor"}, "manager"),
        ("hierarchical", {"request": "x", "workers": ["writer"], "manager": "ghost"}, "manager"),
        ("hierarchical", {"request": "x", "planner": "ghost"}, "planner"),
        ("hierarchical", {"request": "x", "planner": "planner", "agents": ["ghost"]}, "agents"),
        ("hierarchical", {"preset": "ghost", "request": "x"}, "preset"),
    ],
)
async def test_a_bad_request_is_a_problem_that_names_the_field(
    host: MusterHost, pattern: str, body: Any, field: str
) -> None:
    status, problem, _ = await host.post(f"/api/workflows/{pattern}", json.dumps(body).encode())
    assert (status, problem.get("field")) == (400, field), problem
