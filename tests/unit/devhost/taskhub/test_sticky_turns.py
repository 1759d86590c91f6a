"""Generators that are kept between turns: when they go on, when they are made anew, and when they are let go."""

import contextvars
from collections.abc import Generator
from datetime import timedelta
from typing import Any

import azure.durable_functions as df
import pytest
from durabletask import task
from durabletask.internal import tracing
from google.protobuf.wrappers_pb2 import StringValue
from opentelemetry.trace import get_current_span

from devhost.taskhub.durable_executor import DurableExecutor
from devhost.taskhub.hub import Turn
from devhost.taskhub.turns import ReplayedTurns, StickyTurns, Turns
from tests.support.random_orchestrations import plain
from tests.support.sdk_app import SdkApp
from tests.support.turn_driver import COMPLETED, CONTINUED, FAILED, TurnDriver, failure

pytestmark = pytest.mark.filterwarnings("ignore:azure.functions df_loads was called:DeprecationWarning")

type Steps = Generator[task.Task[Any], Any, Any]
NEVER = 10**9
SETTING: contextvars.ContextVar[str] = contextvars.ContextVar("SETTING", default="unset")


class App:
    """Orchestrators that count how often they are begun, and keep what happens in them."""

    def __init__(self) -> None:
        self.begun = 0
        self.told: list[Any] = []
        app = df.DFApp()

        @app.orchestration_trigger(context_name="ctx")
        def chain(ctx: task.OrchestrationContext, steps: int) -> Steps:
            self.begun += 1
            for number in range(steps):
                yield ctx.call_activity("step", input=number)
            return steps

        @app.orchestration_trigger(context_name="ctx")
        def countdown(ctx: task.OrchestrationContext, number: int) -> Steps:
            self.begun += 1
            yield ctx.call_activity("step", input=number)
            if number:
                ctx.continue_as_new(number - 1)
            return "done"

        @app.orchestration_trigger(context_name="ctx")
        def tidy(ctx: task.OrchestrationContext, _: None) -> Steps:
            SETTING.set("set at the beginning")
            try:
                yield ctx.call_activity("first")
                self.told.append(SETTING.get())
                yield ctx.call_activity("second")
            finally:
                self.told.append("tidied")

        @app.orchestration_trigger(context_name="ctx")
        def stubborn(ctx: task.OrchestrationContext, _: None) -> Steps:
            try:
                yield ctx.call_activity("first")
            finally:
                yield ctx.call_activity("clean up")

        @app.orchestration_trigger(context_name="ctx")
        def traced(ctx: task.OrchestrationContext, _: None) -> Steps:
            self.told.append(trace_id())
            yield ctx.call_activity("first")
            self.told.append(trace_id())

        @app.orchestration_trigger(context_name="ctx")
        def replaying(ctx: task.OrchestrationContext, _: None) -> Steps:
            self.told.append(ctx.is_replaying)
            yield ctx.create_timer(timedelta(hours=1))
            self.told.append(ctx.is_replaying)
            yield ctx.call_activity("first")

        self._sdk = SdkApp(app)

    def executor(self, turns: Turns) -> DurableExecutor:
        return DurableExecutor(self._sdk.functions, self._sdk, callable_of=self._sdk.callable_of, turns=turns)


def trace_id() -> tuple[str, bool]:
    """The trace that the orchestrator's own spans would belong to, and whether the SDK would make spans."""
    context = get_current_span().get_span_context()
    return format(context.trace_id, "032x"), not tracing._SPAN_EMISSION_SUPPRESSED.get()


def deliver_all(driver: TurnDriver) -> None:
    for event in tuple(driver.outstanding):
        driver.deliver(event)


@pytest.mark.parametrize(("turns", "begun"), [(StickyTurns(check_every=NEVER), 1), (ReplayedTurns(), 6)])
async def test_a_sticky_orchestrator_is_begun_once_and_a_replayed_one_at_every_turn(turns: Turns, begun: int) -> None:
    app = App()
    end = await TurnDriver("chain", "5").run_to_the_end(app.executor(turns))
    assert (end.orchestrationStatus, end.result.value, app.begun) == (COMPLETED, "5", begun)


@pytest.mark.parametrize(("every", "replays"), [(1, 8), (2, 4), (3, 2), (NEVER, 0)])
async def test_every_so_many_turns_one_is_replayed_as_well(every: int, replays: int) -> None:
    app = App()
    await TurnDriver("chain", "8").run_to_the_end(app.executor(StickyTurns(check_every=every)))
    assert app.begun == 1 + replays


async def test_a_check_of_a_long_history_puts_off_the_next_in_proportion() -> None:
    app = App()
    await TurnDriver("chain", "400").run_to_the_end(app.executor(StickyTurns(check_every=20)), longest=401)
    assert app.begun == 1 + 5, "one at turn 20 and then at about double the turns each time"


async def test_turns_are_counted_over_all_instances_of_an_orchestrator() -> None:
    app = App()
    executor = app.executor(StickyTurns(check_every=4))
    for number in range(4):
        await TurnDriver("chain", "2", f"i{number}").run_to_the_end(executor)
    assert app.begun == 4 + 2


async def test_what_has_ended_is_not_kept() -> None:
    turns = StickyTurns()
    executor, driver = App().executor(turns), TurnDriver("chain", "1")
    await driver.run(executor)
    assert turns.kept == 1
    await driver.run_to_the_end(executor)
    assert turns.kept == 0


async def test_an_execution_that_is_forgotten_is_replayed_and_goes_on() -> None:
    app, turns = App(), StickyTurns(check_every=NEVER)
    executor, driver = app.executor(turns), TurnDriver("chain", "3")
    await driver.run(executor)
    executor.forget("abc", "e0")
    executor.forget("abc", "e0")
    executor.forget("nobody", "e0")
    assert turns.kept == 0
    deliver_all(driver)
    assert (await driver.run_to_the_end(executor)).result.value == "3"
    assert app.begun == 2


async def test_no_more_are_kept_than_allowed_and_those_used_last_are() -> None:
    app, turns = App(), StickyTurns(check_every=NEVER, keep=2)
    executor = app.executor(turns)
    first, second, third = (TurnDriver("chain", "1", f"i{number}") for number in range(3))
    for driver in (first, second, third):
        await driver.run(executor)
        deliver_all(driver)
    assert turns.kept == 2
    for driver, begun in ((third, 3), (second, 3), (first, 4)):
        await driver.run(executor)
        assert driver.end is not None
        assert app.begun == begun


async def test_a_generator_that_has_to_make_room_is_closed() -> None:
    app = App()
    executor = app.executor(StickyTurns(keep=1))
    await TurnDriver("tidy", None, "i0").run(executor)
    await TurnDriver("chain", "1", "i1").run(executor)
    assert app.told == ["tidied"]


async def test_a_turn_whose_response_was_lost_is_run_again_from_the_history() -> None:
    app, turns = App(), StickyTurns(check_every=NEVER)
    executor, driver = app.executor(turns), TurnDriver("chain", "2")
    await driver.run(executor)
    deliver_all(driver)
    turn = driver.turn()
    response = await executor.orchestrator(turn)
    assert await executor.orchestrator(turn) == response
    more = Turn("abc", "e0", turn.past_events, [*turn.new_events, plain("executionSuspended")])
    assert await executor.orchestrator(more) == response
    assert app.begun == 3


async def test_a_history_that_was_rewritten_is_replayed() -> None:
    app, turns = App(), StickyTurns(check_every=NEVER)
    executor, driver = app.executor(turns), TurnDriver("chain", "3")
    await driver.run(executor)
    driver.history[1].executionStarted.input.value = "1"
    driver.history[1:1] = [plain("genericEvent")]
    deliver_all(driver)
    assert (await driver.run_to_the_end(executor)).result.value == "1"
    assert app.begun == 2


async def test_each_execution_of_continue_as_new_is_begun_once() -> None:
    app, turns = App(), StickyTurns(check_every=NEVER)
    executor, driver = app.executor(turns), TurnDriver("countdown", "3")
    statuses = []
    while driver.end is None:
        actions = (await driver.run(executor)).actions
        statuses += [
            each.completeOrchestration.orchestrationStatus for each in actions if not each.HasField("scheduleTask")
        ]
        deliver_all(driver)
    assert statuses == [CONTINUED] * 3 + [COMPLETED]
    assert (app.begun, driver.execution, turns.kept) == (4, 3, 0)


async def test_a_suspended_orchestration_takes_in_what_came_once_it_is_resumed() -> None:
    app, turns = App(), StickyTurns(check_every=1)
    executor, driver = app.executor(turns), TurnDriver("chain", "1")
    await driver.run(executor)
    driver.inbox = [plain("executionSuspended")]
    deliver_all(driver)
    assert not (await driver.run(executor)).actions
    driver.inbox = [plain("executionResumed")]
    await driver.run(executor)
    assert driver.end is not None
    assert driver.end.result.value == "1"


@pytest.mark.parametrize("turns", [ReplayedTurns(), StickyTurns(check_every=1)])
async def test_what_was_asked_for_in_the_turn_that_suspended_it_is_no_divergence(turns: Turns) -> None:
    executor, driver = App().executor(turns), TurnDriver("chain", "2")
    await driver.run(executor)
    deliver_all(driver)
    driver.inbox.append(plain("executionSuspended"))
    (second,) = (await driver.run(executor)).actions
    assert second.id == 2
    driver.inbox = [plain("executionResumed")]
    assert not (await driver.run(executor)).actions
    assert (await driver.run_to_the_end(executor)).result.value == "2"


async def test_a_terminated_orchestration_ends_as_such_and_is_let_go() -> None:
    app, turns = App(), StickyTurns(check_every=1)
    executor, driver = app.executor(turns), TurnDriver("tidy")
    await driver.run(executor)
    driver.inbox = [plain("executionTerminated", input=StringValue(value='"enough"'))]
    await driver.run(executor)
    assert driver.end is not None
    assert driver.end.result.value == '"enough"'
    assert turns.kept == 0
    assert "tidied" in app.told


async def test_a_failure_is_raised_where_the_generator_stands() -> None:
    app, turns = App(), StickyTurns(check_every=NEVER)
    driver = TurnDriver("chain", "3")
    driver.decide = failure
    end = await driver.run_to_the_end(app.executor(turns))
    assert end.orchestrationStatus == FAILED
    assert end.failureDetails.innerFailure.errorMessage == "out of luck"
    assert (app.begun, turns.kept) == (1, 0)


async def test_a_generator_that_is_let_go_is_closed() -> None:
    app, turns = App(), StickyTurns()
    executor, driver = app.executor(turns), TurnDriver("tidy")
    await driver.run(executor)
    assert app.told == []
    executor.forget("abc", "e0")
    assert app.told == ["tidied"]


async def test_a_generator_that_does_not_let_itself_be_closed_is_let_go_all_the_same() -> None:
    turns = StickyTurns()
    executor, driver = App().executor(turns), TurnDriver("stubborn")
    await driver.run(executor)
    executor.forget("abc", "e0")
    deliver_all(driver)
    (action,) = (await driver.run(executor)).actions
    assert action.scheduleTask.name == "clean up"


async def test_context_variables_stay_with_the_orchestrator_and_out_of_the_host() -> None:
    app, turns = App(), StickyTurns(check_every=NEVER)
    await TurnDriver("tidy").run_to_the_end(app.executor(turns))
    assert app.told == ["set at the beginning", "tidied"]
    assert SETTING.get() == "unset"


@pytest.mark.parametrize(
    ("turns", "told"), [(StickyTurns(check_every=NEVER), [False, False]), (ReplayedTurns(), [False, True, False])]
)
async def test_only_what_is_run_again_is_told_that_it_is_replaying(turns: Turns, told: list[bool]) -> None:
    app = App()
    executor, driver = app.executor(turns), TurnDriver("replaying")
    await driver.run(executor)
    deliver_all(driver)
    await driver.run(executor)
    assert app.told == told


@pytest.mark.parametrize("turns", [StickyTurns(check_every=NEVER), ReplayedTurns()])
async def test_spans_of_the_app_belong_to_the_trace_that_started_the_orchestration_and_the_sdk_makes_none(
    turns: Turns,
) -> None:
    app, driver = App(), TurnDriver("traced")
    trace = "0af7651916cd43dd8448eb211c80319c"
    driver.inbox[0].executionStarted.parentTraceContext.traceParent = f"00-{trace}-b7ad6b7169203331-01"
    await driver.run_to_the_end(app.executor(turns))
    assert set(app.told) == {(trace, False)}
    assert trace_id() == ("0" * 32, True)
