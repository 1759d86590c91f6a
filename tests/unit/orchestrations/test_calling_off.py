"""What nobody waits for any more is called off before the run goes on, once for all of it, and changes no account."""

import pytest

from orchestrations.activities import call_off_steps
from orchestrations.calls import Begun, CallOff, NestedRun
from orchestrations.parallel import parallel
from shared import names
from shared.errors import NotFound, StoreUnavailable
from shared.state.decisions import Claimed, NotWanted
from shared.status import RunStatus
from tests.support.app_world import World
from tests.support.documents import a_card, a_claim, a_result, a_run
from tests.support.fake_orchestration import FakeOrchestration
from tests.support.pattern_run import PatternRun

RACE = {"pattern": "parallel", "agents": ["a", "b", "c"], "require": "any", "request": "x", "deadline_seconds": 30}
STAGE = {"pattern": "sequential", "name": "stage", "agents": ["b", "c"], "deadline_seconds": 600}


def order(run: PatternRun) -> list[str]:
    """The activities in the order in which they were asked for."""
    return [name for name, _ in run.activities]


def test_losers_of_a_race_are_called_off_at_once_and_before_the_aggregator_is_asked() -> None:
    run = PatternRun({**RACE, "aggregator": "d"})
    run.answer("b")
    assert run.called_off == ["a", "c"]
    assert order(run) == ["begin_run", "dispatch_agents", "call_off", "dispatch_agents"]
    run.answer("d")
    assert run.outcomes() == {"a": "skipped", "b": "answered", "c": "skipped", "d": "answered"}


def test_a_late_answer_of_a_step_that_was_called_off_changes_no_account() -> None:
    run, undisturbed = PatternRun({**RACE, "aggregator": "d"}), PatternRun({**RACE, "aggregator": "d"})
    for each in (run, undisturbed):
        each.answer("b")
    run.answer("a", "late")
    run.answer("c", a_result("late too"))
    for each in (run, undisturbed):
        each.answer("d")
    assert run.result == undisturbed.result


def test_a_run_that_ends_with_its_race_calls_off_nothing_because_it_is_over() -> None:
    run = PatternRun(RACE)
    run.answer("b")
    assert run.over
    assert order(run) == ["begin_run", "dispatch_agents", "record_run"]


def test_a_fan_out_that_ran_its_course_calls_off_nothing() -> None:
    run = PatternRun({**RACE, "require": "all", "aggregator": "d"})
    for step in ("a", "b", "c", "d"):
        run.answer(step)
    assert run.called_off == []


def test_steps_that_were_never_begun_need_not_be_called_off() -> None:
    run = PatternRun({**RACE, "width": 2, "aggregator": "d"})
    run.answer("a")
    assert (run.called_off, list(run.sent)) == (["b"], ["a", "b", "d"])


def test_what_has_timed_out_is_called_off_when_the_run_goes_on() -> None:
    run = PatternRun({**RACE, "require": {"at_least": 1}, "aggregator": "d"})
    run.answer("a")
    run.pass_time(30)
    assert run.called_off == ["b", "c"]
    run.answer("d")
    assert run.outcomes() == {"a": "answered", "b": "timed_out", "c": "timed_out", "d": "answered"}


def test_a_race_in_a_sequence_calls_off_its_losers_under_their_path() -> None:
    run = PatternRun({"pattern": "sequential", "request": "x", "agents": [{**RACE, "name": "race"}, "d"]})
    run.answer("race.c")
    assert run.called_off == ["race.a", "race.b"]
    run.answer("d")
    assert run.result.status is RunStatus.COMPLETED


def test_a_nested_pattern_that_lost_a_race_is_stopped_before_the_run_ends() -> None:
    run = PatternRun({**RACE, "agents": ["a", STAGE]})
    run.answer("a")
    assert (run.called_off, run.stopped) == (["stage"], ["stage"])
    assert order(run)[-2:] == ["call_off", "record_run"]
    assert run.outcomes() == {"a": "answered", "stage.b": "skipped", "stage.c": "skipped"}
    assert "stage.c" not in run.sent


def test_a_nested_pattern_that_lost_a_race_begins_nothing_more_while_the_run_goes_on() -> None:
    run = PatternRun({**RACE, "agents": ["a", STAGE], "aggregator": "d"})
    run.answer("a")
    run.raise_reply("stage.b", a_result("late").model_dump(mode="json"))
    assert (run.stopped, run.open) == (["stage"], ["d"])
    assert "stage.c" not in run.sent
    run.answer("d")
    assert run.result.status is RunStatus.COMPLETED


def test_a_vote_that_waits_for_a_person_has_called_off_the_voters_it_no_longer_waits_for() -> None:
    vote = {"pattern": "consensus", "voters": ["a", "b", "c"], "options": ["yes", "no"], "tie": "person", "width": 3}
    run = PatternRun({**vote, "request": "x", "deadline_seconds": 30})
    run.answer("a", "yes")
    run.answer("b", "no")
    run.pass_time(30)
    assert (run.called_off, run.over) == (["c"], False)


def test_reactions_of_a_nested_pattern_that_had_no_time_left_are_called_off() -> None:
    reacting = {"pattern": "event-driven", "name": "react", "event": "DataReceived", "deadline_seconds": 20}
    cards = {"a": a_card("a", subscribes=[{"type": "DataReceived"}])}
    run = PatternRun({"pattern": "sequential", "request": "x", "agents": [reacting]}, cards=cards)
    run.pass_time(20)
    assert run.called_off == ["react.e1.a"]


def test_a_run_that_began_before_anything_was_called_off_goes_on_as_it_began() -> None:
    run = PatternRun({**RACE, "agents": ["a", STAGE], "aggregator": "d"}, calls_off=False)
    run.answer("a")
    assert "call_off" not in order(run)
    [nested] = run.root.ctx.sub_orchestrations
    assert not NestedRun.model_validate(nested.input).calls_off


def test_a_run_goes_on_when_nothing_can_be_called_off() -> None:
    cards = {name: a_card(name) for name in "abcd"}
    orchestration = FakeOrchestration(lambda ctx: parallel(ctx, {**RACE, "aggregator": "d"}))
    orchestration.complete("begin_run", Begun(agents=cards, calls_off=True).model_dump(mode="json"))
    orchestration.complete("dispatch_agents", {})
    orchestration.raise_event(names.reply_event("a"), a_result().model_dump(mode="json"))
    orchestration.fail("call_off", StoreUnavailable("down"))
    assert [step["step_id"] for step in orchestration.complete("dispatch_agents", {})["steps"]] == ["d"]
    orchestration.raise_event(names.reply_event("d"), a_result("merged").model_dump(mode="json"))
    assert orchestration.complete("record_run")["result"]["result"] == "merged"


# -- the activity -------------------------------------------------------------------------------------------------


class Nested:
    """Notes which nested patterns were stopped."""

    def __init__(self) -> None:
        self.stopped: list[str] = []

    async def terminate(self, instance_id: str) -> None:
        self.stopped.append(instance_id)


async def test_the_store_refuses_what_was_called_off_and_nested_patterns_are_stopped(world: World) -> None:
    await world.store.create_run(a_run())
    nested = Nested()
    asked = CallOff(task_id="run-1", steps=("research", "stage"), nested=("stage",))
    for _ in range(2):
        await call_off_steps(asked, nested, world.resources)
    assert set(nested.stopped) == {names.nested_instance("run-1", "stage")}
    for step in ("research", "stage.writer"):
        assert isinstance(await world.store.claim_step(a_claim(step, at=1)), NotWanted)
    assert isinstance(await world.store.claim_step(a_claim("writer", at=1)), Claimed)


async def test_of_a_run_that_is_not_known_nothing_is_stopped(world: World) -> None:
    nested = Nested()
    with pytest.raises(NotFound):
        await call_off_steps(CallOff(task_id="nothing", steps=("stage",), nested=("stage",)), nested, world.resources)
    assert nested.stopped == []
