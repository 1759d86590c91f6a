"""Orchestrators whose code and history part: what is said, where, and how the orchestration ends."""

import logging
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import pytest
from durabletask import task
from durabletask.entities import EntityInstanceId
from durabletask.internal import helpers
from durabletask.internal import orchestrator_service_pb2 as pb

from devhost.taskhub.determinism import ERROR_TYPE
from devhost.taskhub.durable_executor import DurableExecutor
from devhost.taskhub.turns import ReplayedTurns, StickyTurns, Turns
from tests.support.random_orchestrations import plain
from tests.support.sdk_app import SdkApp
from tests.support.turn_driver import FAILED, TurnDriver

pytestmark = pytest.mark.filterwarnings("ignore:azure.functions df_loads was called:DeprecationWarning")

type Steps = Generator[task.Task[Any], Any, Any]
type Code = Callable[[task.OrchestrationContext], Steps]

HINT = (
    "An orchestrator has to ask for the same steps every time it is run over the same history. Was its code changed"
    " while this instance ran? Or does it depend on the time, on chance, on settings or on anything else outside its"
    " history?"
)
COUNTER = EntityInstanceId("counter", "a")
HOUR = timedelta(hours=1)


@dataclass
class Changing:
    """The orchestrator `order`, whose code is replaced while it runs."""

    code: Code

    def executor(self, turns: Turns) -> DurableExecutor:
        app = df.DFApp()

        @app.orchestration_trigger(context_name="ctx")
        def order(ctx: task.OrchestrationContext, _: None) -> Steps:
            return (yield from self.code(ctx))

        sdk = SdkApp(app)
        return DurableExecutor(sdk.functions, sdk, callable_of=sdk.callable_of, turns=turns)


def file() -> str:
    """This one, as a diagnosis shows it: from the current folder when that is above it, as an app's folder is."""
    here, current = Path(__file__), Path.cwd()
    return str(here.relative_to(current) if here.is_relative_to(current) else here)


def line(code: Code, offset: int) -> str:
    """The line `offset` below the `def` of `code`, as a diagnosis shows it."""
    return f"{file()}:{code.__code__.co_firstlineno + offset} in {code.__name__}"


async def diagnosis(before: Code, after: Code, turns: Turns, *, turns_before: int = 2) -> str:
    """What the orchestration fails with when its code changes after some turns, up to the line it stands at."""
    changing, driver = Changing(before), TurnDriver("order")
    executor = changing.executor(turns)
    for _ in range(turns_before):
        await driver.run(executor)
        for event in tuple(driver.outstanding):
            driver.deliver(event)
    changing.code = after
    executor.forget(driver.instance_id, driver.execution_id)
    await driver.run(executor)
    assert driver.end is not None
    assert driver.end.orchestrationStatus == FAILED
    return told(driver.end.failureDetails)


def told(failure: pb.TaskFailureDetails) -> str:
    assert failure.errorType == ERROR_TYPE
    message: str = failure.errorMessage
    assert message.startswith("orchestrator 'order' is not deterministic: ")
    assert message.endswith(HINT)
    return message.removeprefix("orchestrator 'order' is not deterministic: ").removesuffix(f" {HINT}")


@pytest.fixture(params=["replay", "sticky"])
def turns(request: pytest.FixtureRequest) -> Turns:
    """Both ways; a sticky one is rebuilt by a replay after the code has changed, as after a restart of the host."""
    return ReplayedTurns() if request.param == "replay" else StickyTurns()


# -- code that was changed ---------------------------------------------------------------------------------------------


def pay_then_ship(ctx: task.OrchestrationContext) -> Steps:
    yield ctx.call_activity("pay")
    yield ctx.call_activity("ship")
    yield ctx.call_activity("thank")


async def test_a_renamed_activity_is_named_with_its_old_and_its_new_name(turns: Turns) -> None:
    def charge_then_ship(ctx: task.OrchestrationContext) -> Steps:
        yield ctx.call_activity("charge")
        yield ctx.call_activity("ship")

    assert await diagnosis(pay_then_ship, charge_then_ship, turns) == (
        "at step 1 its history has call_activity('pay'), but it asks for call_activity('charge')."
        f" It stands at {line(charge_then_ship, 1)}, {called_from()}."
    )


def called_from() -> str:
    code = Changing.executor.__code__.co_consts
    order = next(each for each in code if getattr(each, "co_name", "") == "order")
    return f"called from {file()}:{order.co_firstlineno + 2} in order"


async def test_steps_in_another_order_are_told_at_the_first_that_differs(turns: Turns) -> None:
    def thank_before_shipping(ctx: task.OrchestrationContext) -> Steps:
        yield ctx.call_activity("pay")
        yield ctx.call_activity("thank")
        yield ctx.call_activity("ship")

    assert await diagnosis(pay_then_ship, thank_before_shipping, turns) == (
        "at step 2 its history has call_activity('ship'), but it asks for call_activity('thank')."
        f" It stands at {line(thank_before_shipping, 2)}, {called_from()}."
    )


async def test_a_removed_timer_is_told_with_what_came_in_its_place(turns: Turns) -> None:
    def wait_then_pay(ctx: task.OrchestrationContext) -> Steps:
        yield ctx.create_timer(HOUR)
        yield ctx.call_activity("pay")

    def pay(ctx: task.OrchestrationContext) -> Steps:
        yield ctx.call_activity("pay")

    assert await diagnosis(wait_then_pay, pay, turns) == (
        "at step 1 its history has create_timer(2026-01-02T04:04:06Z), but it asks for call_activity('pay')."
        f" It stands at {line(pay, 1)}, {called_from()}."
    )


async def test_a_step_added_before_others_is_told(turns: Turns) -> None:
    def check_pay_and_ship(ctx: task.OrchestrationContext) -> Steps:
        yield ctx.call_activity("check")
        yield ctx.call_activity("pay")

    assert (await diagnosis(pay_then_ship, check_pay_and_ship, turns)).startswith(
        "at step 1 its history has call_activity('pay'), but it asks for call_activity('check')."
    )


async def test_a_step_added_beside_another_is_told_although_every_name_still_fits(turns: Turns) -> None:
    def pay_and_log(ctx: task.OrchestrationContext) -> Steps:
        steps: list[task.Task[Any]] = [ctx.call_activity("pay"), ctx.call_activity("log")]
        yield task.when_all(steps)

    assert await diagnosis(pay_then_ship, pay_and_log, turns, turns_before=1) == (
        "at step 2 its history has nothing, but it asks for call_activity('log')."
        f" It stands at {line(pay_and_log, 2)}, {called_from()}."
    )


async def test_a_step_that_was_removed_is_told_when_nothing_comes_in_its_place(turns: Turns) -> None:
    def pay_and_wait(ctx: task.OrchestrationContext) -> Steps:
        yield ctx.call_activity("pay")
        yield ctx.wait_for_external_event("shipped")

    assert await diagnosis(pay_then_ship, pay_and_wait, turns) == (
        "at step 2 its history has call_activity('ship'), but it asks for nothing."
        f" It stands at {line(pay_and_wait, 2)}, {called_from()}."
    )


async def test_an_orchestrator_that_ends_before_its_history_does_is_not_taken_for_completed(turns: Turns) -> None:
    def only_pay(ctx: task.OrchestrationContext) -> Steps:
        yield ctx.call_activity("pay")

    assert (await diagnosis(pay_then_ship, only_pay, turns)).startswith(
        f"at step 2 its history has call_activity('ship'), but it has ended. It stands at the end of order ({file()}:"
    )


async def test_one_that_ends_while_its_history_only_goes_on_waiting_is_told_too(turns: Turns) -> None:
    def pay_and_wait(ctx: task.OrchestrationContext) -> Steps:
        yield ctx.call_activity("pay")
        yield ctx.wait_for_external_event("shipped")

    def only_pay(ctx: task.OrchestrationContext) -> Steps:
        yield ctx.call_activity("pay")

    assert (await diagnosis(pay_and_wait, only_pay, turns)).startswith(
        "at step 2 its history goes on with orchestratorCompleted, but it has ended."
    )


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (lambda ctx: ctx.create_timer(HOUR), "create_timer(2026-01-02T04:04:06Z)"),
        (lambda ctx: ctx.call_sub_orchestrator("child"), "call_sub_orchestrator('child')"),
        (lambda ctx: ctx.call_entity(COUNTER, "add"), "call_entity('@counter@a', 'add')"),
        (lambda ctx: ctx.lock_entities([COUNTER]), "lock_entities('@counter@a')"),
        (lambda ctx: ctx.send_event("xyz", "go"), "send_event('go' to 'xyz')"),
        (lambda ctx: ctx.signal_entity(COUNTER, "add"), "signal_entity('@counter@a', 'add')"),
    ],
)
async def test_every_kind_of_step_is_told_in_the_words_of_the_sdk(
    asked: Callable[[task.OrchestrationContext], Any], said: str, turns: Turns
) -> None:
    def ask(ctx: task.OrchestrationContext) -> Steps:
        asked(ctx)
        yield ctx.wait_for_external_event("go")

    assert (await diagnosis(ask, pay_then_ship, turns, turns_before=1)).startswith(
        f"at step 1 its history has {said}, but it asks for call_activity('pay')."
    )
    assert (await diagnosis(pay_then_ship, ask, turns, turns_before=1)).startswith(
        f"at step 1 its history has call_activity('pay'), but it asks for {said}."
    )


# -- code that depends on something outside its history -----------------------------------------------------------


async def test_an_orchestrator_that_draws_lots_is_found_out_by_its_next_replay() -> None:
    lots: Iterator[str] = iter(("heads", "tails"))

    def toss(ctx: task.OrchestrationContext) -> Steps:
        yield ctx.call_activity(next(lots))
        yield ctx.call_activity("pay")

    driver, executor = TurnDriver("order"), Changing(toss).executor(ReplayedTurns())
    end = await driver.run_to_the_end(executor)
    assert told(end.failureDetails).startswith(
        "at step 1 its history has call_activity('heads'), but it asks for call_activity('tails')."
        f" It stands at {line(toss, 1)}"
    )


async def test_a_sticky_orchestrator_that_draws_lots_is_found_out_by_the_turn_that_is_checked() -> None:
    lots: Iterator[str] = iter(("heads", "tails"))

    def toss(ctx: task.OrchestrationContext) -> Steps:
        yield ctx.call_activity("pay")
        yield ctx.call_activity(next(lots))

    driver, executor = TurnDriver("order"), Changing(toss).executor(StickyTurns(check_every=1))
    end = await driver.run_to_the_end(executor)
    assert told(end.failureDetails) == (
        "at step 2 its live run asks for call_activity('heads'), but a replay of its history asks for"
        f" call_activity('tails'). It stands at {line(toss, 2)}, {called_from()}."
    )


async def test_a_sticky_orchestrator_that_reads_the_clock_is_shown_both_values() -> None:
    clock: Iterator[int] = iter((1, 2))

    def stamp(ctx: task.OrchestrationContext) -> Steps:
        yield ctx.call_activity("pay")
        yield ctx.call_activity("ship", input=f"second {next(clock)}")

    driver, executor = TurnDriver("order"), Changing(stamp).executor(StickyTurns(check_every=1))
    message = told((await driver.run_to_the_end(executor)).failureDetails)
    assert message.startswith("at step 2 its live run asks for call_activity('ship') with ")
    assert message.index("second 1") < message.index("a replay of its history asks for") < message.index("second 2")


async def test_a_sticky_orchestrator_that_ends_otherwise_in_a_replay_fails() -> None:
    ends: Iterator[int] = iter((1, 2))

    def count(ctx: task.OrchestrationContext) -> Steps:
        yield ctx.call_activity("pay")
        return next(ends)

    driver, executor = TurnDriver("order"), Changing(count).executor(StickyTurns(check_every=1))
    assert told((await driver.run_to_the_end(executor)).failureDetails).startswith(
        "at step 2 its live run asks for its end as completed with 1, but a replay of its history asks for its end as"
        " completed with 2."
    )


async def test_a_sticky_orchestrator_whose_custom_status_differs_in_a_replay_fails() -> None:
    moods: Iterator[str] = iter(("sunny", "grey"))

    def tell(ctx: task.OrchestrationContext) -> Steps:
        yield ctx.call_activity("pay")
        ctx.set_custom_status(next(moods))
        yield ctx.wait_for_external_event("go")

    driver, executor = TurnDriver("order"), Changing(tell).executor(StickyTurns(check_every=1))
    assert 'the custom status "sunny", but' in told((await driver.run_to_the_end(executor)).failureDetails)


# -- how it ends -------------------------------------------------------------------------------------------------------


async def test_the_diagnosis_is_in_the_log_and_in_the_failures_stack(
    turns: Turns, caplog: pytest.LogCaptureFixture
) -> None:
    def charge(ctx: task.OrchestrationContext) -> Steps:
        yield ctx.call_activity("charge")

    changing, driver = Changing(pay_then_ship), TurnDriver("order")
    executor = changing.executor(turns)
    await driver.run(executor)
    changing.code = charge
    executor.forget(driver.instance_id, driver.execution_id)
    driver.raise_event("wake", None)
    caplog.clear()
    with caplog.at_level(logging.ERROR):
        await driver.run(executor)
    assert driver.end is not None
    failure = driver.end.failureDetails
    assert caplog.messages == [f"order (orchestration abc): FAILED: {ERROR_TYPE}: {failure.errorMessage}"]
    assert failure.stackTrace.value.splitlines()[0] == f"  {line(charge, 1)}"


async def test_what_it_asked_for_wrongly_is_not_done_but_its_locks_are_given_back(turns: Turns) -> None:
    def locked(name: str) -> Code:
        def steps(ctx: task.OrchestrationContext) -> Steps:
            with (yield ctx.lock_entities([COUNTER])):
                yield ctx.call_activity(name)

        return steps

    changing, driver = Changing(locked("pay")), TurnDriver("order")
    executor = changing.executor(turns)
    await driver.run(executor)
    driver.deliver(driver.outstanding[0])
    await driver.run(executor)
    changing.code = locked("charge")
    executor.forget(driver.instance_id, driver.execution_id)
    driver.raise_event("wake", None)
    actions = (await driver.run(executor)).actions
    assert [each.WhichOneof("orchestratorActionType") for each in actions] == [
        "sendEntityMessage",
        "completeOrchestration",
    ]
    assert actions[0].sendEntityMessage.entityUnlockSent.targetInstanceId.value == "@counter@a"


async def test_a_sticky_orchestrator_found_out_in_a_critical_section_gives_its_locks_back() -> None:
    lots: Iterator[str] = iter(("heads", "tails"))

    def toss(ctx: task.OrchestrationContext) -> Steps:
        with (yield ctx.lock_entities([COUNTER])):
            yield ctx.call_activity(next(lots))

    driver, executor = TurnDriver("order"), Changing(toss).executor(StickyTurns(check_every=1))
    await driver.run(executor)
    driver.deliver(driver.outstanding[0])
    unlock, end = (await driver.run(executor)).actions
    assert unlock.sendEntityMessage.entityUnlockSent.targetInstanceId.value == "@counter@a"
    told(end.completeOrchestration.failureDetails)


async def test_a_step_that_the_history_lost_is_told(turns: Turns) -> None:
    driver, executor = TurnDriver("order"), Changing(pay_then_ship).executor(turns)
    await driver.run(executor)
    driver.history = [each for each in driver.history if not each.HasField("taskScheduled")]
    driver.raise_event("wake", None)
    await driver.run(executor)
    assert driver.end is not None
    assert told(driver.end.failureDetails).startswith(
        "at step 1 its history has nothing, but it asks for call_activity('pay')."
    )


async def test_a_timer_cancelled_by_what_a_suspension_held_back_does_not_spoil_the_end(turns: Turns) -> None:
    def race(ctx: task.OrchestrationContext) -> Steps:
        timer, raised = ctx.create_timer(HOUR), ctx.wait_for_external_event("go")
        yield task.when_any([timer, raised])
        timer.cancel()
        return raised.get_result()

    driver, executor = TurnDriver("order"), Changing(race).executor(turns)
    driver.inbox.append(plain("executionSuspended"))
    driver.raise_event("go", "at once")
    await driver.run(executor)
    driver.inbox = [plain("executionResumed")]
    await driver.run(executor)
    assert driver.end is not None
    assert driver.end.result.value == '"at once"'


async def test_an_orchestration_that_was_rewound_may_ask_again_for_what_failed(turns: Turns) -> None:
    changing, driver = Changing(pay_then_ship), TurnDriver("order")
    executor = changing.executor(turns)
    await driver.run(executor)
    driver.inbox.append(helpers.new_task_failed_event(1, ValueError("broke")))
    driver.outstanding.clear()
    await driver.run(executor)
    assert driver.end is not None
    assert driver.end.orchestrationStatus == FAILED
    ended = pb.HistoryEvent(eventId=-1, executionCompleted=pb.ExecutionCompletedEvent(orchestrationStatus=FAILED))
    driver.history.append(ended)
    driver.inbox = [pb.HistoryEvent(eventId=-1, executionRewound=pb.ExecutionRewoundEvent())]
    turn = driver.turn()
    (rewind,) = (await executor.orchestrator(turn)).actions
    driver.history, driver.inbox = list(rewind.rewindOrchestration.newHistory), []
    driver.execution += 1
    (again,) = (await driver.run(executor)).actions
    assert again.scheduleTask.name == "pay"
