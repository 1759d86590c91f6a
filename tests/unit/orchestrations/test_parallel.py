"""The parallel pattern, stepped by hand: all at once, enough or in time, and an account that hides nothing."""

import re
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrations.requests import ParallelRequest
from shared.cards import Rates
from shared.status import RunStatus
from tests.support.documents import a_card, a_failure, a_result, after
from tests.support.pattern_run import PatternRun

NAMES = ("web", "news", "social")


def running(*nodes: Any, refused: tuple[str, ...] = (), cards: Any = None, **more: Any) -> PatternRun:
    given: dict[str, Any] = {"pattern": "parallel", "request": "tides", **more}
    if "inputs" not in more:
        given["agents"] = nodes or NAMES
    return PatternRun(given, refused=refused, cards=cards)


# -- everyone at once -------------------------------------------------------------------------------------------


def test_all_are_asked_in_one_batch_and_their_outputs_come_in_the_order_of_the_request() -> None:
    run = running()
    assert run.batches == [list(NAMES)]
    for name in ("social", "web", "news"):
        run.answer(name)
    assert run.result.status is RunStatus.COMPLETED
    assert run.result.result == [{"name": name, "agent": name, "output": f"{name}'s"} for name in NAMES]
    assert run.root.open_timers() == []


def test_those_who_are_given_the_same_share_one_input_on_the_way() -> None:
    run = running("web", "news", {"agent": "social", "request": "other"})
    [dispatch] = [given for name, given in run.activities if name == "dispatch_agents"]
    assert [each["request"] for each in dispatch["inputs"]] == ["tides", "other"]


def test_an_aggregator_makes_one_result_of_the_outputs_in_the_order_of_the_request() -> None:
    run = running(aggregator="aggregator")
    for name in ("social", "web", "news"):
        run.answer(name)
    assert [each.agent for each in run.inputs["aggregator"].earlier] == list(NAMES)
    run.answer("aggregator", "merged")
    assert (run.result.status, run.result.result) == (RunStatus.COMPLETED, "merged")
    assert list(run.outcomes()) == [*NAMES, "aggregator"]


def test_an_aggregator_that_fails_fails_the_run_and_the_outputs_are_kept() -> None:
    run = running("web", aggregator="aggregator")
    run.answer("web")
    run.answer("aggregator", a_failure())
    assert run.result.status is RunStatus.FAILED
    assert run.result.result == [{"name": "web", "agent": "web", "output": "web's"}]
    assert run.result.error == a_failure().error


def test_an_aggregator_is_not_asked_to_merge_too_few_answers() -> None:
    run = running(aggregator="aggregator", require={"at_least": 2})
    run.answer("web")
    run.answer("news", a_failure())
    run.answer("social", a_failure())
    assert "aggregator" not in run.sent
    assert run.outcomes()["aggregator"] == "skipped"


def test_one_agent_works_on_many_inputs_each_under_a_name_of_its_own() -> None:
    run = running(agent="translator", inputs=["de", "fr", "it"])
    assert run.open == ["translator-1", "translator-2", "translator-3"]
    assert run.inputs["translator-2"].request == {"request": "tides", "input": "fr"}
    for step in run.open:
        run.answer(step)
    assert [line["output"] for line in run.result.result] == [  # type: ignore[union-attr, index, call-overload]
        "translator-1's",
        "translator-2's",
        "translator-3's",
    ]


def test_the_custom_status_counts_the_answers() -> None:
    run = running("web", "news")
    run.answer("news")
    run.answer("web", a_failure())
    assert run.root.ctx.custom_statuses == [
        {"pattern": "parallel", "asked": 2, "answered": 1, "without_success": 0},
        {"pattern": "parallel", "asked": 2, "answered": 1, "without_success": 1},
    ]


# -- width ------------------------------------------------------------------------------------------------------


def test_no_more_work_at_once_than_the_width_allows() -> None:
    run = running(agent="translator", inputs=[str(n) for n in range(10)], width=4)
    done = 0
    while not run.over:
        assert len(run.open) <= 4
        run.answer(run.open[0])
        done += 1
    assert done == 10
    assert len(run.batches) <= 1 + 10 // 2


# -- whose answers are required ---------------------------------------------------------------------------------


def test_enough_answers_make_a_run_partial_when_others_are_missing() -> None:
    run = running(require={"at_least": 2})
    run.answer("web")
    run.answer("news")
    assert not run.over, "everyone is waited for"
    run.pass_time(30)
    assert run.result.status is RunStatus.PARTIAL
    assert run.outcomes() == {"web": "answered", "news": "answered", "social": "timed_out"}


def test_too_few_answers_fail_the_run_and_say_how_many_there_were() -> None:
    run = running(require={"at_least": 2})
    run.answer("web")
    run.pass_time(30)
    assert run.result.status is RunStatus.FAILED
    assert run.result.error is not None
    assert run.result.error.type == "TooFewAnswers"
    assert "1 of 3 answered, 2 are required" in run.result.error.message


def test_the_first_good_answer_wins_a_race_and_the_others_are_called_off() -> None:
    run = running(require="any")
    run.answer("web", a_failure())
    assert not run.over
    run.answer("social", "mine")
    assert (run.result.status, run.result.result) == (RunStatus.COMPLETED, "mine")
    assert run.outcomes() == {"web": "failed", "news": "skipped", "social": "answered"}


def test_a_race_for_two_is_won_by_the_first_two() -> None:
    run = running(require={"first": 2})
    run.answer("social")
    run.answer("web")
    assert run.outcomes() == {"web": "answered", "news": "skipped", "social": "answered"}
    assert run.result.status is RunStatus.COMPLETED


def test_a_race_that_is_won_begins_nobody_more() -> None:
    run = running(require="any", width=1)
    run.answer("web")
    assert list(run.sent) == ["web"]
    assert run.outcomes() == {"web": "answered", "news": "skipped", "social": "skipped"}


def test_what_can_no_longer_be_had_is_asked_of_nobody_else() -> None:
    run = running(width=1)
    run.answer("web", a_failure())
    assert list(run.sent) == ["web"]
    assert run.outcomes() == {"web": "failed", "news": "skipped", "social": "skipped"}


# -- time -------------------------------------------------------------------------------------------------------


def test_the_default_deadline_is_thirty_seconds_for_the_answers_and_not_for_the_merge() -> None:
    run = running("web", "news", aggregator="aggregator", require={"at_least": 1})
    run.answer("web")
    run.pass_time(29)
    assert run.open == ["news"]
    run.pass_time(1)
    assert run.open == ["aggregator"]
    run.pass_time(60)
    run.answer("aggregator")
    assert run.result.status is RunStatus.PARTIAL


def test_an_answer_after_the_deadline_changes_nothing() -> None:
    run = running("web", "news", aggregator="aggregator", require={"at_least": 1})
    run.answer("web")
    run.pass_time(30)
    run.answer("news")
    run.answer("aggregator")
    assert run.outcomes() == {"web": "answered", "news": "timed_out", "aggregator": "answered"}


def test_the_agents_know_the_deadline() -> None:
    run = running(deadline_seconds=12)
    assert {step.deadline for step in run.sent.values()} == {after(12)}


# -- money and tokens -------------------------------------------------------------------------------------------


def card(name: str, **changes: Any) -> Any:
    return a_card(name, prompt_tokens=100, max_output_tokens=400, rates=Rates(input=1, output=2), **changes)


CARDS = {name: card(name) for name in (*NAMES, "aggregator")}
ONE = 500 + 100
"""More than what one call may use at most: its prompt, its output, and a small input."""


def test_calls_at_once_cannot_together_exceed_the_budget() -> None:
    run = running(cards=CARDS, budget={"tokens": 2 * ONE})
    assert run.open == ["web", "news"]


def test_what_a_call_did_not_use_pays_for_the_next() -> None:
    run = running(cards=CARDS, budget={"tokens": ONE})
    for name in NAMES:
        assert run.open == [name]
        run.answer(name, a_result())
    assert run.result.status is RunStatus.COMPLETED


def test_a_run_ends_as_budget_exhausted_before_it_overspends() -> None:
    run = running(cards=CARDS, budget={"tokens": ONE - 200})
    assert run.sent == {}
    assert run.result.status is RunStatus.BUDGET_EXHAUSTED
    assert run.outcomes() == dict.fromkeys(NAMES, "skipped")


def test_a_budget_that_suffices_for_enough_makes_the_run_partial() -> None:
    run = running(cards=CARDS, budget={"tokens": 2 * ONE}, require={"at_least": 2})
    spent = a_result().model_copy(update={"usage": a_result().usage.model_copy(update={"input_tokens": 600})})
    run.answer("web", spent)
    run.answer("news", spent)
    assert run.result.status is RunStatus.PARTIAL
    assert run.outcomes()["social"] == "skipped"


def test_money_is_kept_by_the_models_price() -> None:
    one = (100 + 100) * 1e-6 + 400 * 2e-6
    run = running(cards=CARDS, budget={"usd": 2 * one})
    assert run.open == ["web", "news"]


def test_a_cost_that_turns_out_unknown_gives_nothing_back() -> None:
    run = running(cards=CARDS, budget={"usd": 0.0015})
    unknown = a_result().model_copy(update={"usage": a_result().usage.model_copy(update={"cost_usd": None})})
    run.answer("web", unknown)
    assert list(run.sent) == ["web"]
    assert run.result.status is RunStatus.BUDGET_EXHAUSTED


def test_agents_without_a_model_cost_nothing() -> None:
    free = {name: a_card(name, uses_model=False) for name in NAMES}
    run = running(cards=free, budget={"tokens": 1})
    assert run.open == list(NAMES)


def test_a_nested_pattern_has_its_share_and_gives_back_the_rest() -> None:
    stage = {"pattern": "sequential", "name": "stage", "agents": ["news", "social"]}
    run = PatternRun(
        {"pattern": "sequential", "request": "x", "agents": [stage, "web"], "budget": {"tokens": ONE}}, cards=CARDS
    )
    for step in ("stage.news", "stage.social", "web"):
        assert run.open == [step]
        run.answer(step)
    assert run.result.status is RunStatus.COMPLETED


def test_a_nested_pattern_stays_within_its_own_budget() -> None:
    stage = {"pattern": "parallel", "name": "stage", "agents": ["news", "social"], "budget": {"tokens": 10}}
    run = PatternRun(
        {"pattern": "sequential", "request": "x", "agents": [stage, "web"], "budget": {"tokens": 9 * ONE}}, cards=CARDS
    )
    assert run.result.status is RunStatus.BUDGET_EXHAUSTED
    assert run.outcomes() == {"stage.news": "skipped", "stage.social": "skipped", "web": "skipped"}


# -- history and replay -----------------------------------------------------------------------------------------


def test_a_fan_out_of_a_thousand_is_sent_once_and_waited_for_with_one_timer() -> None:
    run = running(agent="translator", inputs=list(range(1000)))
    assert len(run.batches) == 1
    assert len(run.root.ctx.timers) == 1
    assert len(run.root.ctx.events) == 1000
    for step in list(run.sent):
        run.root.raise_event(run.sent[step].reply_event, a_result().model_dump(mode="json"))
    run.pass_time(0)
    assert run.result.status is RunStatus.COMPLETED
    assert len(run.result.account) == 1000


def test_agents_called_as_activities_run_at_once_and_wait_without_an_instance() -> None:
    direct = {name: a_card(name, transport="activity", queue=None) for name in ("web", "news")}
    run = running("web", "news", cards=direct)
    web, news = run.root.pending()
    assert (web.name, news.name) == ("web_activity", "news_activity")
    later = a_failure(kind="ModelUnavailable", retryable=True).model_copy(update={"retry_after_seconds": 5})
    news.task.complete(later.model_dump(mode="json"))
    web.task.complete(a_result("w").model_dump(mode="json"))
    run.root.resume()
    assert run.root.pending() == []
    run.root.pass_time(timedelta(seconds=5))
    [again] = run.root.pending()
    again.task.complete(a_result("n").model_dump(mode="json"))
    run.root.resume()
    run.pass_time(0)
    assert [line["output"] for line in run.result.result] == ["w", "n"]  # type: ignore[union-attr, index, call-overload]


# -- the request ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"agents": []}, "agents"),
        ({"agents": ["web", "web"]}, r"agents\.1: two nodes are called web"),
        ({"agents": ["web"], "aggregator": "web"}, "aggregator: two nodes are called web"),
        ({"agent": "web"}, "inputs"),
        ({"inputs": ["x"]}, "inputs"),
        ({"agent": "web", "inputs": ["x"]}, "agents"),
        ({"agents": [], "agent": "web", "inputs": []}, "inputs"),
        ({"require": {"at_least": 5}}, "require: 5 of 2"),
        ({"require": {"first": 3}}, "require: 3 of 2"),
        ({"require": {"at_least": 0}}, r'^require\n .*give "all", "any", {"at_least": 2} or {"first": 2}'),
        ({"require": {"atleast": 1}}, r'^require\n .*give "all", "any", {"at_least": 2} or {"first": 2}'),
        ({"require": "most"}, r'^require\n .*give "all", "any", {"at_least": 2} or {"first": 2}'),
        ({"width": 0}, "width"),
        ({"width": 10_000}, "width"),
        ({"aggregator": {"pattern": "nonsense"}}, "aggregator"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_request_that_makes_no_fan_out_is_refused_by_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError, match=re.compile(field, re.MULTILINE)):
        ParallelRequest.model_validate({"request": "x", "agents": ["web", "news"], **change})


def test_agents_are_told_that_a_budget_is_kept_and_only_then() -> None:
    kept = running(cards=CARDS, budget={"tokens": 9 * ONE})
    free = running(cards=CARDS)
    assert {step.budget.paid_attempts for step in kept.sent.values()} == {1}
    assert {step.budget.paid_attempts for step in free.sent.values()} == {None}


def test_what_lies_in_an_artifact_is_paid_for_as_what_an_agent_is_shown() -> None:
    """An aggregator is given the text itself, however short the reference to it is."""
    long = {"$artifact": {"address": "sha256-a", "size": 20_000, "content_type": "text/plain"}}
    run = running("web", cards=CARDS, aggregator="aggregator", budget={"tokens": 5 * ONE})
    run.answer("web", a_result(long))
    assert run.outcomes() == {"web": "answered", "aggregator": "skipped"}
    assert run.result.status is RunStatus.BUDGET_EXHAUSTED


def test_a_list_is_paid_for_as_it_is_shown_to_an_agent() -> None:
    run = running("web", cards=CARDS, request=[1] * 500, budget={"tokens": ONE + 600})
    assert run.outcomes() == {"web": "skipped"}


@pytest.mark.parametrize("output", [{"$artifact": "x"}, {"$artifact": {}, "more": 1}])
def test_what_only_looks_like_an_artifact_breaks_no_run(output: Any) -> None:
    run = running("web", cards=CARDS, aggregator="aggregator", budget={"tokens": 5 * ONE})
    run.answer("web", a_result(output))
    assert run.open == ["aggregator"]


@pytest.mark.parametrize("cost", [-1.0, float("nan"), float("inf")])
def test_a_forged_answer_gives_no_budget_back(cost: float) -> None:
    run = running("web", cards=CARDS, budget={"usd": 1.0})
    run.raise_reply("web", {"status": "succeeded", "usage": {"cost_usd": cost}})
    assert run.outcomes() == {"web": "failed"}


def test_an_agent_that_ran_out_of_its_reservation_ends_the_run_as_budget_exhausted() -> None:
    run = running("web", cards=CARDS, budget={"tokens": 9 * ONE})
    run.answer("web", a_failure(kind="BudgetExhausted"))
    assert run.result.status is RunStatus.BUDGET_EXHAUSTED
