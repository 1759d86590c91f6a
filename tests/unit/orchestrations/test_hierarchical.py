"""The hierarchical pattern: who is handed what, what managers send back, and what becomes of plans that cannot be."""

import itertools
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrations.requests import HierarchicalRequest
from orchestrations.teamwork import stages
from shared.cards import AgentCard
from shared.status import RunStatus
from tests.support.documents import a_card, a_failure, a_result
from tests.support.pattern_run import PatternRun

MANAGER = {"manager": a_card("manager", manages=True), "boss": a_card("boss", manages=True)}
TEAM: dict[str, Any] = {
    "pattern": "hierarchical",
    "request": "Explain tides.",
    "manager": "manager",
    "workers": ["scraper", "writer"],
}


def a_run(request: dict[str, Any] | None = None, **changes: Any) -> PatternRun:
    return PatternRun({**(request or TEAM), **changes}, cards=MANAGER)


def review(merged: str = "All of it.", **rework: str) -> dict[str, Any]:
    """A manager's answer, which sends these parts back with these comments."""
    return {"rework": [{"part": part, "comment": said} for part, said in rework.items()], "merged": merged}


def done(run: PatternRun, *steps: str) -> PatternRun:
    for step in steps:
        run.answer(step)
    return run


def shown(run: PatternRun, step: str) -> list[Any]:
    """The outputs that an agent was given."""
    return [each.output for each in run.inputs[step].earlier]


# -- a team -----------------------------------------------------------------------------------------------------


def test_workers_are_asked_at_once_and_their_manager_merges_what_they_return() -> None:
    run = a_run()
    assert run.open == ["scraper", "writer"]
    done(run, "writer", "scraper")
    assert run.open == ["manager_1"]
    assert run.inputs["manager_1"].request == {
        "goal": "Explain tides.",
        "parts": [
            {"part": "scraper", "by": "scraper", "step": "scraper"},
            {"part": "writer", "by": "writer", "step": "writer"},
        ],
        "last_round": False,
    }
    assert shown(run, "manager_1") == ["scraper's", "writer's"]
    run.answer("manager_1", review())
    assert (run.result.status, run.result.result) == (RunStatus.COMPLETED, "All of it.")
    assert run.outcomes() == {"scraper": "answered", "writer": "answered", "manager_1": "answered"}


def test_a_part_that_needs_another_waits_for_it_and_is_given_it() -> None:
    run = a_run(needs={"writer": ["scraper"]})
    assert run.open == ["scraper"]
    run.answer("scraper", "facts")
    assert run.open == ["writer"]
    assert shown(run, "writer") == ["facts"]


def test_without_a_manager_the_result_is_what_nothing_else_is_made_from() -> None:
    run = a_run(manager=None, needs={"writer": ["scraper"]})
    done(run, "scraper", "writer")
    assert (run.result.status, run.result.result) == (RunStatus.COMPLETED, "writer's")


def test_without_a_manager_several_ends_are_named() -> None:
    run = done(a_run(manager=None), "scraper", "writer")
    assert run.result.result == [
        {"name": "scraper", "agent": "scraper", "output": "scraper's"},
        {"name": "writer", "agent": "writer", "output": "writer's"},
    ]


def test_a_part_sent_back_is_made_again_by_who_made_it_with_the_comment() -> None:
    run = done(a_run(), "scraper", "writer")
    run.answer("manager_1", review(writer="Too long."))
    assert run.open == ["writer_2"]
    assert shown(run, "writer_2") == ["writer's", {"part": "writer", "rework": "Too long."}]
    run.answer("writer_2", "shorter")
    assert shown(run, "manager_2") == ["scraper's", "shorter"]
    request: Any = run.inputs["manager_2"].request
    assert request["last_round"] is True
    run.answer("manager_2", review("Merged."))
    assert (run.result.status, run.result.result) == (RunStatus.COMPLETED, "Merged.")


def test_what_is_not_accepted_in_the_last_round_is_missing_and_the_account_says_why() -> None:
    run = done(a_run(rework=0), "scraper", "writer")
    run.answer("manager_1", review(writer="Still too long."))
    assert run.result.status is RunStatus.FAILED
    assert run.result.error is not None
    assert run.result.error.message == "1 of 2 parts were accepted, 2 are required"
    assert [line.cause for line in run.result.account] == [
        None,
        "not accepted by manager: Still too long.",
        None,
    ]
    assert run.result.result == "All of it.", "what was merged is kept"


def test_a_manager_that_sends_back_what_nobody_made_is_not_followed() -> None:
    run = done(a_run(), "scraper", "writer")
    run.answer("manager_1", review(ghost="Where is it?"))
    assert run.result.status is RunStatus.COMPLETED


def test_with_fewer_required_the_manager_merges_what_there_is_and_is_told_what_is_missing() -> None:
    run = a_run(require={"at_least": 1})
    run.answer("scraper", a_failure())
    run.answer("writer")
    request: Any = run.inputs["manager_1"].request
    assert request["parts"][0] == {"part": "scraper", "by": "scraper", "step": "scraper", "missing": "Broken it is"}
    run.answer("manager_1", review())
    assert run.result.status is RunStatus.PARTIAL


def test_with_a_required_part_missing_the_manager_is_not_paid_for() -> None:
    run = a_run()
    run.answer("scraper", a_failure())
    run.answer("writer")
    assert run.result.status is RunStatus.FAILED
    assert run.outcomes() == {"scraper": "failed", "writer": "answered", "manager_1": "skipped"}
    assert "manager_1" not in run.sent


def test_what_waits_for_a_part_that_failed_is_not_asked_for() -> None:
    run = a_run(needs={"writer": ["scraper"]}, require={"at_least": 1}, workers=["scraper", "writer", "editor"])
    run.answer("scraper", a_failure())
    run.answer("editor")
    run.answer("manager_1", review())
    assert run.outcomes() == {
        "scraper": "failed",
        "writer": "skipped",
        "editor": "answered",
        "manager_1": "answered",
    }
    assert [line.cause for line in run.result.account][1] == "not asked: it needs scraper, which there is not"


def test_once_too_much_is_missing_nobody_else_is_asked() -> None:
    run = a_run(workers=["scraper", "writer", "editor"], needs={"editor": ["writer"]})
    run.answer("scraper", a_failure())
    run.answer("writer")
    assert run.outcomes()["editor"] == "skipped"


@pytest.mark.parametrize("said", ["text", {}, {"merged": ""}, {"merged": "x", "rework": "all"}, None, 7])
def test_a_manager_that_answers_with_no_review_has_merged_nothing(said: Any) -> None:
    run = done(a_run(), "scraper", "writer")
    run.answer("manager_1", a_result(said))
    assert run.result.status is RunStatus.FAILED
    assert run.result.error is not None
    assert run.result.error.type == "InvalidReview"
    outputs: Any = run.result.result
    assert [each["output"] for each in outputs] == ["scraper's", "writer's"], "what was made is kept"


# -- teams in teams ---------------------------------------------------------------------------------------------

NESTED: dict[str, Any] = {
    "pattern": "hierarchical",
    "request": "Explain tides.",
    "workers": [
        {"pattern": "hierarchical", "name": "research", "manager": "manager", "workers": ["scraper", "paper-analyst"]},
        {
            "pattern": "hierarchical",
            "name": "content",
            "manager": "boss",
            "workers": ["writer", "editor"],
            "needs": {"editor": ["writer"]},
        },
    ],
    "needs": {"content": ["research"]},
}


def test_each_manager_is_a_sub_orchestration_and_later_teams_get_what_earlier_ones_merged() -> None:
    run = a_run(NESTED)
    assert run.open == ["research.scraper", "research.paper-analyst"]
    done(run, "research.scraper", "research.paper-analyst")
    run.answer("research.manager_1", review("The dossier."))
    assert shown(run, "content.writer") == ["The dossier."]
    done(run, "content.writer")
    assert shown(run, "content.editor") == ["The dossier.", "content.writer's"]
    done(run, "content.editor")
    run.answer("content.manager_1", review("The article."))
    assert (run.result.status, run.result.result) == (RunStatus.COMPLETED, "The article.")
    assert len(run.children) == 2
    assert list(run.outcomes()) == [
        "research.scraper",
        "research.paper-analyst",
        "research.manager_1",
        "content.writer",
        "content.editor",
        "content.manager_1",
    ]


def test_a_team_that_failed_fails_what_needs_it_and_the_account_names_every_agent() -> None:
    run = a_run(NESTED)
    run.answer("research.scraper", a_failure())
    run.answer("research.paper-analyst")
    assert run.result.status is RunStatus.FAILED
    assert run.outcomes() == {
        "research.scraper": "failed",
        "research.paper-analyst": "answered",
        "research.manager_1": "skipped",
        "content.writer": "skipped",
        "content.editor": "skipped",
        "content.manager_1": "skipped",
    }


def test_time_that_runs_out_ends_every_team_and_says_so() -> None:
    run = a_run(NESTED, deadline_seconds=60)
    run.answer("research.scraper")
    run.pass_time(61)
    assert run.result.status is RunStatus.FAILED
    assert run.outcomes()["research.paper-analyst"] == "timed_out"


# -- the account, whatever happens to each agent ------------------------------------------------------------------

FATES = ("answer", "fail", "time out", "be refused", "answer late", "answer twice")


def meet(run: PatternRun, step: str, fate: str, output: Any = None) -> None:
    match fate:
        case "answer":
            run.answer(step, output)
        case "fail":
            run.answer(step, a_failure())
        case "answer twice":
            run.answer(step, output)
            run.answer(step, a_result("something else"))
        case _:
            pass


@pytest.mark.parametrize("require", ["all", {"at_least": 1}], ids=["all", "one"])
@pytest.mark.parametrize("fates", list(itertools.product(FATES, repeat=3)), ids="-".join)
def test_the_account_adds_up_whatever_becomes_of_each_agent(fates: tuple[str, ...], require: Any) -> None:
    steps = ("scraper", "writer", "manager_1")
    refused = [step for step, fate in zip(steps, fates, strict=True) if fate == "be refused"]
    run = PatternRun({**TEAM, "require": require, "deadline_seconds": 100}, cards=MANAGER, refused=refused)
    for step, fate in zip(steps, fates, strict=True):
        if step == "manager_1" and not run.over:
            run.pass_time(50)
        if step in run.sent and step in run.open:
            meet(run, step, fate, review() if step == "manager_1" else None)
    run.pass_time(60)
    for step, fate in zip(steps, fates, strict=True):
        if fate == "answer late" and step in run.sent:
            run.answer(step, review() if step == "manager_1" else None)
    good = {"answer", "answer twice"}
    made = [fate in good for fate in fates[:2]]
    # A worker of which nothing is heard is waited for until the deadline, so that nobody is left to merge.
    silent = {"time out", "answer late"} & set(fates[:2])
    merged = fates[2] in good and not silent
    outcomes = run.outcomes()
    assert set(outcomes) == set(steps)
    assert [outcomes[step] == "answered" for step in steps[:2]] == made
    expected = RunStatus.FAILED
    if all(made) and merged:
        expected = RunStatus.COMPLETED
    elif require != "all" and any(made) and merged:
        expected = RunStatus.PARTIAL
    assert run.result.status is expected
    assert sum(line.outcome == "answered" for line in run.result.account) == sum(made) + (
        outcomes["manager_1"] == "answered"
    )


# -- a planner ----------------------------------------------------------------------------------------------------

CARDS: dict[str, AgentCard] = {name: a_card(name) for name in ("planner", "scraper", "writer")} | MANAGER
PLANNED: dict[str, Any] = {"pattern": "hierarchical", "request": "Explain tides.", "planner": "planner"}
PLAN: dict[str, Any] = {
    "tasks": [
        {"id": "facts", "agent": "scraper", "instruction": "Find facts.", "manager": None, "needs": []},
        {"id": "text", "agent": "writer", "instruction": "Write.", "manager": None, "needs": ["facts"]},
    ]
}
CYCLIC = {"tasks": [{**PLAN["tasks"][0], "needs": ["text"]}, PLAN["tasks"][1]]}


def planned(**changes: Any) -> PatternRun:
    return PatternRun({**PLANNED, **changes}, cards=CARDS)


def test_the_planner_is_told_the_goal_the_agents_and_the_limits_and_its_plan_is_followed() -> None:
    run = planned()
    asked: Any = run.inputs["planner_1"].request
    assert asked["goal"] == "Explain tides."
    assert {agent["name"] for agent in asked["agents"]} == {"scraper", "writer", "manager", "boss"}
    assert asked["limits"] == {"max_depth": 3, "max_width": 8, "max_tasks": 20}
    run.answer("planner_1", PLAN)
    assert run.open == ["facts"]
    assert run.inputs["facts"].request == {"goal": "Explain tides.", "task": "Find facts."}
    run.answer("facts", "Found.")
    assert shown(run, "text") == ["Found."]
    run.answer("text", "Written.")
    assert (run.result.status, run.result.result) == (RunStatus.COMPLETED, "Written.")
    assert list(run.outcomes()) == ["planner_1", "facts", "text"]


def test_managers_in_a_plan_are_teams_of_their_own() -> None:
    run = planned()
    tasks = [
        {"id": "lead", "agent": "manager", "instruction": "Lead.", "manager": None, "needs": []},
        {"id": "facts", "agent": "scraper", "instruction": "Find.", "manager": "lead", "needs": []},
    ]
    run.answer("planner_1", {"tasks": tasks})
    assert run.open == ["lead.facts"]
    run.answer("lead.facts")
    run.answer("lead.manager_1", review("Led."))
    assert (run.result.status, run.result.result) == (RunStatus.COMPLETED, "Led.")


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        (CYCLIC, "the needs go round in a circle: facts -> text -> facts"),
        ({"tasks": [{**PLAN["tasks"][0], "agent": "ghost"}]}, "there is no agent ghost"),
        ({"tasks": []}, "tasks: Tuple should have at least 1 item"),
        ("no plan at all", "the plan: "),
        ({"tasks": [{**PLAN["tasks"][0], "id": f"t{n}"} for n in range(9)]}, "the master has 9 tasks"),
        ({"tasks": [{**PLAN["tasks"][0], "id": "x" * 40, "agent": "writer"}] * 2}, "2 tasks have the id"),
    ],
)
def test_a_plan_that_cannot_be_is_sent_back_with_the_reasons_and_may_be_mended(plan: Any, reason: str) -> None:
    run = planned()
    run.answer("planner_1", plan)
    told = run.inputs["planner_2"].earlier
    assert told[0].output == plan
    refused: Any = told[-1].output
    assert any(reason in each for each in refused["refused"]), refused
    run.answer("planner_2", PLAN)
    assert run.open == ["facts"]


def test_a_planner_that_has_mended_twice_in_vain_ends_the_run_with_every_reason() -> None:
    run = planned()
    for attempt in (1, 2, 3):
        run.answer(f"planner_{attempt}", CYCLIC)
    assert run.result.status is RunStatus.FAILED
    assert run.result.error is not None
    assert run.result.error.type == "PlanRefused"
    assert "no plan after 3 tries: the needs go round in a circle" in run.result.error.message
    assert list(run.outcomes()) == ["planner_1", "planner_2", "planner_3"]


def test_a_planner_whose_model_answers_rubbish_may_mend_it_too() -> None:
    run = planned()
    run.answer("planner_1", a_failure(kind="ModelAnswerInvalid"))
    refused: Any = run.inputs["planner_2"].earlier[-1].output
    assert refused == {"refused": ["ModelAnswerInvalid it is"]}
    run.answer("planner_2", PLAN)
    assert run.open == ["facts"]


def test_a_planner_that_fails_otherwise_is_not_asked_again() -> None:
    run = planned()
    run.answer("planner_1", a_failure())
    assert run.result.status is RunStatus.FAILED
    assert list(run.sent) == ["planner_1"]


def test_only_the_agents_that_were_chosen_may_be_planned_with() -> None:
    run = planned(agents=["writer"])
    asked: Any = run.inputs["planner_1"].request
    assert [agent["name"] for agent in asked["agents"]] == ["writer"]
    run.answer("planner_1", PLAN)
    refused: Any = run.inputs["planner_2"].earlier[-1].output
    assert any("there is no agent scraper; there are writer" in each for each in refused["refused"])


def test_a_plan_that_costs_more_than_is_left_is_sent_back() -> None:
    run = PatternRun(
        {**PLANNED, "budget": {"tokens": 3000}},
        cards={name: card.model_copy(update={"max_output_tokens": 1000}) for name, card in CARDS.items()},
    )
    run.answer("planner_1", a_result(PLAN, usage={"input_tokens": 500, "output_tokens": 800}))
    refused: Any = run.inputs["planner_2"].earlier[-1].output if "planner_2" in run.inputs else None
    assert refused is not None
    assert "the budget does not reach for task text" in refused["refused"][0]


# -- at the door --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"workers": []},
        {"workers": [], "planner": None},
        {"planner": "planner"},
        {"workers": ["writer", "writer"]},
        {"needs": {"writer": ["ghost"]}},
        {"needs": {"ghost": ["writer"]}},
        {"needs": {"writer": ["writer"]}},
        {"needs": {"writer": ["scraper"], "scraper": ["writer"]}},
        {"require": {"at_least": 3}},
        {"require": {"at_least": 0}},
        {"require": "most"},
        {"rework": -1},
        {"rework": 4},
        {"limits": {"max_depth": 0}},
        {"limits": {"max_width": 51}},
        {"agents": ["writer"]},
        {"workers": ["Writer"]},
        {"workers": ["w"] * 51},
        {"manager": ""},
        {"colour": "blue"},
    ],
)
def test_a_request_that_contradicts_itself_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        HierarchicalRequest.model_validate({**TEAM, **changes})


def test_stages_put_everything_as_early_as_what_it_needs_allows() -> None:
    assert stages("abcd", {"c": "a", "d": "bc"}) == (("a", "b"), ("c",), ("d",))
    assert stages("ab", {}) == (("a", "b"),)
