"""Votes, handoffs and review loops on the whole system: HTTP in, agents behind their queues, a decision out."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.support.chat_model import chat_model
from tests.support.deciding_model import DecidingModel
from tests.support.eventually import eventually
from tests.support.muster_host import MusterHost, muster_host

pytestmark = pytest.mark.asyncio(loop_scope="module")

POST = {"preset": "moderation", "request": {"post": "You are all idiots."}}


def ballot(choice: str) -> dict[str, str]:
    return {"reason": f"It is to {choice}.", "choice": choice}


def turn(to: str, reply: str = "") -> dict[str, str]:
    return {"reason": "So it is.", "pass_to": to, "reply": reply}


def form(verdict: str) -> dict[str, Any]:
    return {"summary": "s", "remark": "The title lies.", "further_remarks": [], "verdict": verdict}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model() -> AsyncIterator[DecidingModel]:
    deciding = DecidingModel()
    async with chat_model(deciding):
        yield deciding


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host(tmp_path_factory: pytest.TempPathFactory, model: DecidingModel) -> AsyncIterator[MusterHost]:
    async with muster_host(tmp_path_factory.mktemp("deliberation"), model_url=model.url) as running:
        yield running


async def started(host: MusterHost, pattern: str, body: Any) -> str:
    status, answer, _ = await host.post(f"/api/workflows/{pattern}", json.dumps(body).encode())
    assert status == 202, answer
    return str(answer["task_id"])


async def ran(host: MusterHost, pattern: str, body: Any) -> dict[str, Any]:
    return await host.finished(await started(host, pattern, body))


def steps(task: dict[str, Any]) -> dict[str, str]:
    return {step["step_id"]: step["status"] for step in task["steps"]}


# -- consensus --------------------------------------------------------------------------------------------------


async def test_a_post_is_moderated_by_as_few_moderators_as_can_decide(host: MusterHost, model: DecidingModel) -> None:
    model.begin(moderator_policy=ballot("remove"), moderator_context=ballot("remove"))
    task = await ran(host, "consensus", POST)
    assert (task["status"], task["result"]["decision"]) == ("completed", "remove")
    assert steps(task) == {
        "moderator-policy": "succeeded",
        "moderator-context": "succeeded",
        "moderator-harm": "skipped",
    }
    assert dict(model.calls) == {"moderator-policy": 1, "moderator-context": 1}
    assert [each["reason"] for each in task["result"]["ballots"][:2]] == ["It is to remove."] * 2


async def test_moderators_who_disagree_leave_it_to_the_judge(host: MusterHost, model: DecidingModel) -> None:
    model.begin(
        moderator_policy=ballot("remove"),
        moderator_context=ballot("allow"),
        moderator_harm=ballot("review"),
        judge=ballot("review"),
    )
    task = await ran(host, "consensus", POST)
    assert (task["result"]["decision"], task["result"]["decided_by"]) == ("review", "judge")
    assert steps(task)["judge"] == "succeeded"
    assert task["result"]["dissent"] == ["moderator-policy", "moderator-context"]
    assert task["usage"]["input_tokens"] == 40


FIVE = [{"agent": "moderator-harm", "name": f"voter-{number}"} for number in range(1, 6)]
OPINION = {"request": "Is it safe?", "voters": FIVE, "options": ["yes", "no"]}


@pytest.mark.parametrize("width", [None, 1, 2, 5])
async def test_a_vote_of_five_that_three_decide_pays_for_no_voter_who_was_not_started(
    host: MusterHost, model: DecidingModel, width: int | None
) -> None:
    model.begin(moderator_harm=ballot("yes"))
    task = await ran(host, "consensus", {**OPINION, "width": width})
    asked = [voter for voter, status in steps(task).items() if status != "skipped"]
    assert task["result"]["decision"] == "yes"
    if width == 5:
        assert 3 <= model.calls["moderator-harm"] <= 5
    elif width == 2:
        assert 3 <= model.calls["moderator-harm"] <= 4
    else:
        assert (model.calls["moderator-harm"], len(asked)) == (3, 3)


async def test_a_voter_that_answers_with_rubbish_is_a_failure_and_the_others_decide(
    host: MusterHost, model: DecidingModel
) -> None:
    model.begin(moderator_policy="I cannot decide.", moderator_context=ballot("allow"), moderator_harm=ballot("allow"))
    task = await ran(host, "consensus", POST)
    assert (task["status"], task["result"]["decision"]) == ("partial", "allow")
    assert [line["outcome"] for line in task["account"]] == ["failed", "answered", "answered"]
    assert model.calls["moderator-policy"] == 2, "once, and once to mend it"


async def test_a_model_that_does_not_answer_in_time_leaves_a_vote_without_a_quorum(
    host: MusterHost, model: DecidingModel
) -> None:
    model.begin()
    model.open.clear()
    try:
        task = await ran(host, "consensus", {**POST, "deadline_seconds": 2})
    finally:
        model.open.set()
    assert (task["status"], task["error"]["type"]) == ("failed", "NoQuorum")
    assert {line["outcome"] for line in task["account"]} == {"timed_out"}
    assert [each["abstention"] for each in task["result"]["ballots"]] == ["timed_out"] * 3


async def test_a_person_decides_a_tie_through_the_management_api(host: MusterHost, model: DecidingModel) -> None:
    model.begin(moderator_policy=ballot("yes"), moderator_harm=ballot("no"))
    body = {**OPINION, "voters": ["moderator-policy", "moderator-harm"], "tie": "person"}
    task_id = await started(host, "consensus", body)
    instance = f"/runtime/webhooks/durabletask/instances/{task_id}"
    key = {"x-functions-key": host.process.key("master")}

    async def waiting() -> bool:
        _, state = await host.get(f"{instance}", key=host.process.key("master"))
        return bool((state.get("customStatus") or {}).get("waiting_for") == "person")

    assert await eventually(waiting, within=20.0, every=0.05)
    status, _, _ = await host.post(f"{instance}/raiseEvent/decision", b'{"option": "no", "by": "Ada"}', headers=key)
    assert status == 202
    task = await host.finished(task_id)
    assert (task["status"], task["result"]["decision"], task["result"]["decided_by"]) == ("completed", "no", "person")


async def test_a_vote_may_stand_in_a_sequence(host: MusterHost, model: DecidingModel) -> None:
    model.begin(writer="# A draft", moderator_policy=ballot("allow"), moderator_context=ballot("allow"))
    vote = {"pattern": "consensus", "preset": "moderation", "name": "vote"}
    task = await ran(host, "sequential", {"request": "On tides", "agents": ["writer", vote]})
    assert (task["status"], task["result"]["decision"]) == ("completed", "allow")
    assert steps(task)["vote.moderator-policy"] == "succeeded"
    assert steps(task)["vote.moderator-harm"] == "skipped"


# -- handoff ----------------------------------------------------------------------------------------------------


async def test_a_conversation_is_handed_to_the_specialist_who_can_settle_it(
    host: MusterHost, model: DecidingModel
) -> None:
    model.begin(
        router=[turn("support-billing"), turn("support-technical")],
        support_billing=turn("router"),
        support_technical=turn("nobody", "Clear the cache."),
    )
    task = await ran(host, "handoff", {"preset": "support", "request": "I cannot pay."})
    assert (task["status"], task["result"]["reply"]) == ("completed", "Clear the cache.")
    assert list(steps(task)) == ["router", "support-billing", "router-2", "support-technical"]
    assert [each["to"] for each in task["result"]["passes"]] == ["support-billing", "router", "support-technical"]
    assert task["usage"]["input_tokens"] == 40


async def test_a_pass_to_somebody_who_is_not_there_is_never_made(host: MusterHost, model: DecidingModel) -> None:
    """The form that the model fills in does not offer it, so that the answer is refused before the pattern sees it."""
    model.begin(router=turn("ghost"))
    task = await ran(host, "handoff", {"preset": "support", "request": "Help!"})
    assert (task["status"], [line["outcome"] for line in task["account"]]) == ("failed", ["failed"])


async def test_a_desk_knows_what_was_said_in_its_session_until_that_is_forgotten(
    host: MusterHost, model: DecidingModel
) -> None:
    model.begin(router=turn("support-billing"), support_billing=turn("nobody", "It was refunded."))
    chat = {"preset": "support", "tenant": "acme", "session": "chat-1"}
    for asked in ("Where is my refund?", "Since when?"):
        task = await ran(host, "handoff", {**chat, "request": asked})
        assert task["status"] == "completed", task
    shown = "person: Where is my refund?\nsupport-billing: It was refunded."
    assert [shown in request["messages"][1]["content"] for request in model.requests] == [False, False, True, True]
    _, session = await host.get("/api/memory/acme/sessions/chat-1")
    assert [each["lines"][0]["text"] for each in session["turns"]] == ["Where is my refund?", "Since when?"]
    assert session["turns"][1]["source"] == {
        "run": task["id"],
        "step": "support-billing",
        "agent": "support-billing",
    }
    assert await host.delete("/api/memory/acme") == (200, {"tenant": "acme", "forgotten": 2})
    await ran(host, "handoff", {**chat, "request": "And now?"})
    assert "<memory" not in model.requests[-1]["messages"][1]["content"]


# -- review loop ------------------------------------------------------------------------------------------------


async def test_a_draft_is_revised_until_its_reviewer_accepts_it(host: MusterHost, model: DecidingModel) -> None:
    model.begin(writer=["# First", "# Second"], reviewer=[form("revise"), form("accept")])
    task = await ran(host, "review-loop", {"request": {"topic": "Tides"}})
    assert (task["status"], task["result"]["draft"], task["result"]["rounds"]) == ("completed", "# Second", 2)
    assert list(steps(task)) == ["writer", "reviewer", "writer-2", "reviewer-2"]
    assert "The title lies." in model.requests[2]["messages"][1]["content"]


async def test_rounds_that_run_out_keep_the_draft_and_say_that_nobody_accepted_it(
    host: MusterHost, model: DecidingModel
) -> None:
    model.begin(writer=["# First", "# Second"], reviewer=form("revise"))
    task = await ran(host, "review-loop", {"request": "On tides", "max_rounds": 2, "unaccepted": "keep"})
    assert (task["status"], task["result"]["draft"], task["result"]["ended"]) == (
        "partial",
        "# Second",
        "rounds_run_out",
    )


# -- bad input --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "body", "field"),
    [
        ("consensus", {**POST, "quorum": 4}, "quorum"),
        ("consensus", {**POST, "options": ["allow"]}, "options"),
        ("consensus", {**POST, "rule": {"name": "supermajority", "fraction": 0.5}}, "rule.supermajority.fraction"),
        ("consensus", {**POST, "tie": {"name": "judge", "agent": "ghost"}}, "tie.agent"),
        ("consensus", {**POST, "voters": ["ghost"]}, "voters.0"),
        ("consensus", {"preset": "moderation"}, "request"),
        ("handoff", {"preset": "support", "request": "?", "specialists": ["ghost"]}, "specialists.0"),
        ("handoff", {"request": "?", "specialists": []}, "specialists"),
        ("review-loop", {"request": "?", "max_rounds": 0}, "max_rounds"),
        ("review-loop", {"request": "?", "checker": "ghost"}, "checker"),
    ],
)
async def test_a_request_that_cannot_be_run_is_refused_at_the_door_by_field(
    host: MusterHost, model: DecidingModel, pattern: str, body: Any, field: str
) -> None:
    model.begin()
    status, problem, _ = await host.post(f"/api/workflows/{pattern}", json.dumps(body).encode())
    assert (status, problem["type"], problem["field"]) == (400, "urn:muster:problem:invalid-request", field)
    assert model.requests == []
