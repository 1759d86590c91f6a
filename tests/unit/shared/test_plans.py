"""Plans: every reason why one cannot be carried out is told at once, and none is told of a plan that can."""

import itertools
from typing import Any

import pytest
from pydantic import ValidationError

from shared.plans import Plan, PlanLimits, TeamReview, cycles, plan_problems, team_of
from tests.support.documents import a_card

AGENTS = {
    name: a_card(name, manages=name.endswith("manager"))
    for name in ("scraper", "paper-analyst", "writer", "editor", "research-manager", "content-manager")
}
LIMITS = PlanLimits(max_depth=2, max_width=3, max_tasks=7)


def task(task_id: str, agent: str = "writer", **more: Any) -> dict[str, Any]:
    return {"id": task_id, "agent": agent, "instruction": f"Do {task_id}.", **more}


def problems(*tasks: dict[str, Any]) -> list[str]:
    return list(plan_problems(Plan.model_validate({"tasks": tasks}), AGENTS, LIMITS))


GOOD = (
    task("research", "research-manager"),
    task("sources", "scraper", manager="research"),
    task("papers", "paper-analyst", manager="research"),
    task("content", "content-manager", needs=["research"]),
    task("draft", "writer", manager="content"),
    task("final", "editor", manager="content", needs=["draft"]),
)


def test_a_plan_that_can_be_carried_out_has_no_problems() -> None:
    assert problems(*GOOD) == []
    assert problems(task("alone")) == []


def test_a_team_is_the_tasks_under_one_manager() -> None:
    plan = Plan.model_validate({"tasks": GOOD})
    assert [each.id for each in team_of(plan, None)] == ["research", "content"]
    assert [each.id for each in team_of(plan, "content")] == ["draft", "final"]
    assert team_of(plan, "draft") == ()


@pytest.mark.parametrize(
    ("tasks", "said"),
    [
        ([task("a"), task("a")], "2 tasks have the id a"),
        ([task("a", "ghost")], "task a: there is no agent ghost; there are content-manager, editor"),
        ([task("a", manager="b")], "task a: its manager b is no task of the plan"),
        (
            [task("a"), task("b", manager="a")],
            "task a: writer cannot manage others; agents that can: content-manager, ",
        ),
        ([task("a", needs=["b"])], "task a: it needs b, which is no task of the plan"),
        ([task("a", needs=["a"])], "the needs go round in a circle: a -> a"),
        ([task("a", needs=["b"]), task("b", needs=["a"])], "the needs go round in a circle: a -> b -> a"),
        ([task("a", "research-manager", manager="a")], "the managers go round in a circle: a -> a"),
        (
            [
                task("a", "research-manager", manager="c"),
                task("b", "research-manager", manager="a"),
                task("c", "content-manager", manager="b"),
            ],
            "the managers go round in a circle: a -> c -> b -> a",
        ),
        (
            [task("a", "research-manager"), task("b", manager="a"), task("c", needs=["b"])],
            "task c: it needs b, which is in another team",
        ),
        ([task(each) for each in "abcd"], "the master has 4 tasks to hand out; it may have 3"),
        (
            [task("m", "research-manager"), *(task(each, manager="m") for each in "abcd")],
            "manager m has 4 tasks to hand out; it may have 3",
        ),
        (
            [
                task("a", "research-manager"),
                task("b", "research-manager", manager="a"),
                task("c", manager="b"),
            ],
            "task c is 3 levels deep; a plan may have 2",
        ),
        (
            [task("m", "research-manager"), task("n", "research-manager"), task("o", "research-manager")]
            + [task(f"{m}{number}", manager=m) for m in "mno" for number in range(2)],
            "the plan has 9 tasks; it may have 7",
        ),
    ],
)
def test_each_thing_that_is_wrong_is_said_in_words_that_name_it(tasks: list[dict[str, Any]], said: str) -> None:
    found = problems(*tasks)
    assert any(said in each for each in found), found


def test_everything_that_is_wrong_is_said_at_once() -> None:
    found = problems(
        task("a", "ghost", needs=["nothing"]),
        task("a"),
        task("b", manager="nobody"),
        task("c", needs=["d"]),
        task("d", needs=["c"]),
        task("e"),
    )
    assert len(found) == 6, found


@pytest.mark.parametrize(
    "tasks",
    [
        [],
        [task("a")] * 101,
        [{"id": "a", "agent": "writer"}],
        [task("A")],
        [task("")],
        [task("a", "Not An Agent")],
        [{**task("a"), "instruction": "   "}],
        [{**task("a"), "instruction": "x" * 4001}],
        [{**task("a"), "colour": "blue"}],
        ["text"],
        None,
    ],
)
def test_what_is_no_plan_is_refused(tasks: Any) -> None:
    with pytest.raises(ValidationError):
        Plan.model_validate({"tasks": tasks})


@pytest.mark.parametrize(
    "value",
    [{}, {"merged": " "}, {"merged": 7}, {"rework": [{"part": "a"}], "merged": "x"}, {"rework": "a", "merged": "x"}],
)
def test_what_is_no_review_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError):
        TeamReview.model_validate(value)


def test_every_graph_of_three_is_cyclic_exactly_when_a_search_by_force_says_so() -> None:
    nodes = "abc"
    pairs = list(itertools.product(nodes, repeat=2))
    for bits in range(2 ** len(pairs)):
        edges: dict[str, list[str]] = {node: [] for node in nodes}
        for number, (here, there) in enumerate(pairs):
            if bits >> number & 1:
                edges[here].append(there)
        assert bool(cycles(edges)) is any(reaches_itself(node, edges) for node in nodes), edges


def reaches_itself(node: str, edges: dict[str, list[str]]) -> bool:
    reached: set[str] = set()
    waiting = list(edges[node])
    while waiting:
        at = waiting.pop()
        if at not in reached:
            reached.add(at)
            waiting += edges[at]
    return node in reached
