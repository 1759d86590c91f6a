"""The handoff pattern, stepped by hand: the way a conversation takes, and an account that hides nothing."""

import itertools
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrations.handoff import HandoffResult
from orchestrations.requests import HandoffRequest
from shared.status import RunStatus, StepStatus
from shared.turns import TurnPaper
from tests.support.documents import a_card, a_failure, a_result
from tests.support.pattern_run import PatternRun


def a_request(**changes: Any) -> dict[str, Any]:
    return {
        "pattern": "handoff",
        "request": "I was charged twice.",
        "router": "router",
        "specialists": ["billing", "technical"],
        **changes,
    }


def a_handoff(**changes: Any) -> PatternRun:
    return PatternRun(a_request(**changes))


def pass_to(target: str, reason: str = "") -> dict[str, Any]:
    return {"pass_to": target, "reason": reason}


def ended(run: PatternRun) -> HandoffResult:
    return HandoffResult.model_validate(run.result.result)


def paper(run: PatternRun, step: str) -> TurnPaper:
    return TurnPaper.model_validate(run.inputs[step].request)


def test_the_router_passes_to_a_specialist_whose_reply_ends_the_run() -> None:
    run = a_handoff()
    assert run.open == ["router"]
    run.answer("router", pass_to("billing", "A double charge."))
    assert run.open == ["billing"]
    run.answer("billing", {"reply": "The second charge goes back.", "reason": "Seen twice."})
    result = ended(run)
    assert (result.reply, result.replied_by) == ("The second charge goes back.", "billing")
    assert [(each.by, each.to, each.reason) for each in result.passes] == [("router", "billing", "A double charge.")]
    assert run.result.status is RunStatus.COMPLETED
    assert run.outcomes() == {"router": "answered", "billing": "answered"}


def test_each_holder_is_told_who_there_is_and_what_was_said_before() -> None:
    run = a_handoff()
    first = paper(run, "router")
    assert (first.request, first.passes_left) == ("I was charged twice.", 5)
    assert [each.name for each in first.colleagues] == ["billing", "technical"]
    assert first.colleagues[0].description == a_card("billing").description
    run.answer("router", pass_to("billing", "A double charge."))
    second = paper(run, "billing")
    assert ([each.name for each in second.colleagues], second.passes_left) == (["router", "technical"], 4)
    [said] = run.inputs["billing"].earlier
    assert (said.agent, said.output) == ("router", "passed to billing: A double charge.")


def test_a_conversation_that_comes_back_is_another_step_of_the_same_agent() -> None:
    run = a_handoff()
    run.answer("router", pass_to("billing"))
    run.answer("billing", pass_to("router", "No charge is to be seen."))
    assert run.open == ["router-2"]
    assert [each.name for each in paper(run, "router-2").colleagues] == ["technical"]
    run.answer("router-2", pass_to("technical"))
    run.answer("technical", "Clear the cache.")
    assert list(run.outcomes()) == ["router", "billing", "router-2", "technical"]
    assert ended(run).replied_by == "technical"


@pytest.mark.parametrize("target", ["ghost", "router", "billing"])
def test_a_pass_that_is_not_possible_is_told_once_and_then_a_reply_is_due(target: str) -> None:
    run = a_handoff(may_pass={"router": ["technical"]})
    run.answer("router", pass_to(target))
    again = paper(run, "router-2")
    assert (again.colleagues, bool(again.must_reply)) == ((), True)
    run.answer("router-2", {"reply": "I will find out."})
    assert ended(run).replied_by == "router"
    assert ended(run).passes[0].refused == again.must_reply
    assert run.result.status is RunStatus.COMPLETED


def test_whoever_insists_on_a_pass_that_is_not_possible_ends_the_run() -> None:
    run = a_handoff()
    run.answer("router", pass_to("ghost"))
    run.answer("router-2", pass_to("ghost"))
    assert run.result.status is RunStatus.FAILED
    assert run.result.error is not None
    assert run.result.error.type == "UnknownTarget"
    assert run.outcomes() == {"router": "answered", "router-2": "failed"}
    assert ended(run).replied_by is None


def test_no_more_passes_are_made_than_the_request_allows() -> None:
    run = a_handoff(max_passes=1)
    run.answer("router", pass_to("billing"))
    assert paper(run, "billing").colleagues == ()
    run.answer("billing", pass_to("technical"))
    assert "1 times" in str(paper(run, "billing-2").must_reply)
    run.answer("billing-2", "We look into it.")
    assert len(run.sent) == 3
    assert run.result.status is RunStatus.COMPLETED


@pytest.mark.parametrize("output", [{"reply": None}, {"reply": "a", "pass_to": "billing"}, {"pass_to": 7}, None])
def test_rubbish_is_that_agents_failure(output: Any) -> None:
    run = a_handoff()
    run.answer("router", a_result(output))
    assert run.result.status is RunStatus.FAILED
    assert run.outcomes() == {"router": "failed"}
    assert run.result.error is not None
    assert run.result.error.type == "InvalidTurn"


@pytest.mark.parametrize("status", [StepStatus.FAILED, StepStatus.TIMED_OUT, StepStatus.REJECTED])
def test_a_holder_that_fails_ends_the_run_and_the_way_is_kept(status: StepStatus) -> None:
    run = a_handoff()
    run.answer("router", pass_to("billing"))
    run.answer("billing", a_failure(status))
    assert run.result.status is RunStatus.FAILED
    assert [each.to for each in ended(run).passes] == ["billing"]


def test_an_agent_that_knows_nothing_of_handoffs_may_be_a_specialist() -> None:
    run = a_handoff(specialists=["writer"])
    run.answer("router", pass_to("writer"))
    run.answer("writer", "Here is your letter.")
    assert ended(run).reply == "Here is your letter."


def test_a_pattern_may_be_a_specialist_and_gets_the_bare_request() -> None:
    team = {"pattern": "sequential", "name": "team", "agents": ["a", "b"]}
    run = a_handoff(specialists=[team])
    assert "sequential" in paper(run, "router").colleagues[0].description
    run.answer("router", pass_to("team"))
    assert run.inputs["team.a"].request == "I was charged twice."
    run.answer("team.a", "one")
    run.answer("team.b", "two")
    assert (ended(run).reply, ended(run).replied_by) == ("two", "team")


def test_a_deadline_ends_the_conversation() -> None:
    run = a_handoff(deadline_seconds=30)
    run.answer("router", pass_to("billing"))
    run.pass_time(31)
    assert run.result.status is RunStatus.FAILED
    assert run.outcomes()["billing"] == "timed_out"


# -- everything that can happen ---------------------------------------------------------------------------------

HAPPENS = ("reply", "pass", "back", "ghost", "rubbish", "fail", "late", "refused", "twice")


def test_every_conversation_ends_and_its_account_adds_up_whatever_each_holder_does() -> None:
    """Whatever the router, the specialists and those who are asked again do, up to six turns."""
    for first, then in itertools.product(HAPPENS, repeat=2):
        for rest in HAPPENS:
            fates = itertools.chain([first, then], itertools.repeat(rest))
            refused = [name for name, fate in (("router", first), ("billing", then)) if fate == "refused"]
            run = PatternRun(a_request(max_passes=3, deadline_seconds=30), refused=refused)
            while not run.over and run.open:
                play(run, run.open[0], next(fates))
            check(run)


def play(run: PatternRun, step: str, fate: str) -> None:
    holder = step.split("-")[0]
    match fate:
        case "reply":
            run.answer(step, {"reply": "Done."})
        case "pass":
            run.answer(step, pass_to({"router": "billing", "billing": "technical"}.get(holder, "router")))
        case "back":
            run.answer(step, pass_to("router"))
        case "ghost":
            run.answer(step, pass_to("ghost"))
        case "rubbish":
            run.answer(step, {"reply": "a", "pass_to": "b"})
        case "twice":
            run.answer(step, {"reply": "Done."})
            run.raise_reply(step, a_result("Again.").model_dump(mode="json"))
        case "late":
            run.pass_time(31)
            run.raise_reply(step, a_result("too late").model_dump(mode="json"))
        case _:
            run.answer(step, a_failure())


def check(run: PatternRun) -> None:
    result, outcomes = ended(run), run.outcomes()
    last = list(outcomes.values())[-1]
    assert all(outcome == "answered" for outcome in list(outcomes.values())[:-1])
    assert (run.result.status is RunStatus.COMPLETED) == (last == "answered") == (result.replied_by is not None)
    assert (result.reply is not None) == (run.result.status is RunStatus.COMPLETED)
    assert sum(each.refused is None for each in result.passes) <= 3
    assert run.result.status in (RunStatus.COMPLETED, RunStatus.FAILED)


# -- the request ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"specialists": []}, "specialists"),
        ({"specialists": ["billing", "NO"]}, "specialists.1"),
        ({"max_passes": 0}, "max_passes"),
        ({"max_passes": 21}, "max_passes"),
        ({"may_pass": {"ghost": []}}, "may_pass"),
        ({"may_pass": {"router": ["ghost"]}}, "may_pass"),
        ({"preset": "ghost"}, ""),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_request_that_makes_no_handoff_is_refused_by_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        HandoffRequest.model_validate(a_request(**changes))
    assert ".".join(str(part) for part in caught.value.errors()[0]["loc"]).startswith(field)


@pytest.mark.parametrize("specialists", [["router"], ["billing", "billing"], ["billing", "router-2"]])
def test_members_whose_names_could_be_confused_are_refused(specialists: list[str]) -> None:
    with pytest.raises(ValidationError, match="specialists"):
        HandoffRequest.model_validate(a_request(specialists=specialists))


def test_support_is_a_preset() -> None:
    request = HandoffRequest.model_validate({"preset": "support", "request": "Help!"})
    assert [placed.name for placed in request.nodes()] == ["router", "support-billing", "support-technical"]
    assert HandoffRequest.model_validate(request.model_dump(mode="json")) == request
