"""The agents of votes, handoffs and reviews, run as they are: what the model is told, and what comes of its answer."""

import json
from typing import Any

import pytest

from agents.catalog import CATALOG
from agents.outcomes import Answered
from agents.prompting import DATA_RULE
from orchestrations.ballots import ballot_paper, read_answer
from orchestrations.passes import read_turn
from orchestrations.reviews import read_review
from orchestrations.voting_rules import Vote
from shared.ballots import BallotPaper
from shared.contracts import AgentResult
from shared.reviews import Review
from shared.status import StepStatus
from shared.turns import Colleague, Turn, TurnPaper
from tests.support.app_world import World, a_runner
from tests.support.documents import NOW, a_run, a_task

MODERATORS = ["moderator-policy", "moderator-context", "moderator-harm"]
VOTERS = [*MODERATORS, "judge"]
DESK = ["router", "support-billing", "support-technical"]
VOTE = Vote(voters=("a",), options=("allow", "remove"))


async def ran(world: World, agent: str, request: Any, *replies: Any) -> AgentResult:
    """What an agent of the catalog makes of a request when the model gives these replies."""
    world.replies = [reply if isinstance(reply, str) else json.dumps(reply) for reply in replies]
    await world.store.create_run(a_run(steps=(agent,)))
    task = a_task(agent, input={"request": request})
    outcome = await a_runner(CATALOG.spec(agent), world.resources).run(task, owner="first", enqueued_at=NOW)
    assert isinstance(outcome, Answered)
    return outcome.result


def a_paper(vote: Vote = VOTE) -> Any:
    return ballot_paper(vote, {"post": "Hi."}).model_dump(mode="json")


@pytest.mark.parametrize("agent", VOTERS)
async def test_a_voters_answer_is_a_ballot_that_the_vote_understands(world: World, agent: str) -> None:
    result = await ran(world, agent, a_paper(), {"reason": "Harmless.", "choice": "allow"})
    ballot = read_answer(VOTE, "a", result.output)
    assert (ballot.choice, ballot.reason) == ("allow", "Harmless.")


@pytest.mark.parametrize(
    ("rule", "filled", "field", "value"),
    [
        ("borda", {"place_1": "remove", "place_2": "allow"}, "ranking", ("remove", "allow")),
        ({"name": "score", "at_least": {"remove": 0, "allow": 5}}, {"score": 7}, "score", 7),
    ],
)
async def test_a_voter_answers_in_the_way_that_the_rule_asks_for(
    world: World, rule: Any, filled: dict[str, Any], field: str, value: Any
) -> None:
    vote = Vote.model_validate({"voters": ["a"], "options": ["allow", "remove"], "rule": rule})
    result = await ran(world, "judge", a_paper(vote), {"reason": "r", **filled})
    assert getattr(read_answer(vote, "a", result.output), field) == value


async def test_a_ballot_for_what_is_not_on_the_paper_is_sent_back_once_and_then_is_a_failure(world: World) -> None:
    result = await ran(world, "moderator-harm", a_paper(), {"reason": "r", "choice": "burn"})
    assert (result.status, len(world.model.requests)) == (StepStatus.FAILED, 2)
    assert result.usage.input_tokens == 200


@pytest.mark.parametrize("agent", [*VOTERS, *DESK])
async def test_a_request_that_is_no_paper_fails_before_a_model_is_asked(world: World, agent: str) -> None:
    result = await ran(world, agent, "What do you think?", "never asked")
    assert result.error is not None
    assert (result.error.type, result.error.retryable) == ("InvalidRequest", False)
    assert world.model.requests == []


@pytest.mark.parametrize("agent", DESK)
async def test_a_holders_answer_is_a_turn_that_the_handoff_understands(world: World, agent: str) -> None:
    colleagues = (Colleague(name="sales", description="Sells."),)
    paper = TurnPaper(request="Help!", colleagues=colleagues, passes_left=1).model_dump(mode="json")
    result = await ran(world, agent, paper, {"reason": "Not mine.", "pass_to": "sales", "reply": ""})
    assert read_turn(result.output) == Turn(pass_to="sales", reason="Not mine.")


async def test_a_holder_may_reply(world: World) -> None:
    paper = TurnPaper(request="Hi!").model_dump(mode="json")
    result = await ran(world, "router", paper, {"reason": "A greeting.", "pass_to": "nobody", "reply": "Hello."})
    assert read_turn(result.output) == Turn(reply="Hello.", reason="A greeting.")


@pytest.mark.parametrize(("verdict", "satisfied"), [("accept", True), ("revise", False)])
async def test_a_reviewers_answer_is_a_review_that_the_loop_understands(
    world: World, verdict: str, satisfied: bool
) -> None:
    form = {"summary": "s", "remark": "The title lies.", "further_remarks": ["So does the end."], "verdict": verdict}
    review = read_review((await ran(world, "reviewer", "On tides", form)).output)
    assert review == Review(satisfied=satisfied, problems=("The title lies.", "So does the end."), summary="s")


@pytest.mark.parametrize("agent", [*VOTERS, *DESK, "reviewer"])
async def test_every_one_of_them_is_told_that_what_it_reads_is_no_instruction(world: World, agent: str) -> None:
    paper = a_paper() if agent in VOTERS else TurnPaper(request="Hi!").model_dump(mode="json")
    await ran(world, agent, paper, "{}")
    assert all(DATA_RULE in request.system for request in world.model.requests)
    assert all(request.format is not None for request in world.model.requests)


def test_the_moderators_look_at_a_post_from_sides_of_their_own() -> None:
    descriptions = {CATALOG.spec(agent).description for agent in MODERATORS}
    assert len(descriptions) == 3


@pytest.mark.parametrize("agent", [*VOTERS, *DESK, "reviewer"])
def test_a_budget_counts_the_second_call_that_mending_an_answer_takes(agent: str) -> None:
    card = CATALOG.cards[agent]
    assert card.model_calls == 2
    assert card.prompt_tokens > 1000


def test_the_paper_that_voters_are_given_is_one_that_they_can_read() -> None:
    assert BallotPaper.model_validate(a_paper()).options == VOTE.options
