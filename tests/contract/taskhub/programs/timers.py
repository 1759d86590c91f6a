"""Durable timers: alone, raced, cancelled, long."""

from datetime import timedelta

from durabletask import task

from tests.contract.taskhub.programs.common import Steps, add_one, echo
from tests.support.conformance.catalog import orchestrator, program
from tests.support.conformance.observation import Order
from tests.support.conformance.run import Run

SOON = timedelta(milliseconds=60)


@orchestrator
def sleeping(ctx: task.OrchestrationContext, seconds: float) -> Steps:
    began = ctx.current_utc_datetime
    yield ctx.create_timer(timedelta(seconds=seconds))
    return ctx.current_utc_datetime - began >= timedelta(seconds=seconds)


@program()
async def timer_of_a_moment(run: Run) -> None:
    await run.go(sleeping, 0.06)


@program()
async def timer_of_no_time(run: Run) -> None:
    await run.go(sleeping, 0)


@orchestrator
def sleeping_until_yesterday(ctx: task.OrchestrationContext, _: None) -> Steps:
    yield ctx.create_timer(ctx.current_utc_datetime - timedelta(days=1))
    return "woken"


@program()
async def timer_in_the_past(run: Run) -> None:
    await run.go(sleeping_until_yesterday)


@orchestrator
def naps(ctx: task.OrchestrationContext, times: int) -> Steps:
    for each in range(times):
        yield ctx.create_timer(SOON)
        yield ctx.call_activity(echo, input=each)
    return ctx.is_replaying


@program()
async def timers_between_activities(run: Run) -> None:
    await run.go(naps, 3)


@orchestrator
def two_timers(ctx: task.OrchestrationContext, _: None) -> Steps:
    long, short = ctx.create_timer(timedelta(hours=1)), ctx.create_timer(SOON)
    winner = yield task.when_any([long, short])
    return winner is short


@program()
async def shorter_of_two_timers(run: Run) -> None:
    await run.go(two_timers)


@orchestrator
def all_timers(ctx: task.OrchestrationContext, count: int) -> Steps:
    yield task.when_all([ctx.create_timer(SOON * (each + 1)) for each in range(count)])
    return "all"


@program(order=Order.RACING)
async def several_timers_at_once(run: Run) -> None:
    await run.go(all_timers, 5)


@orchestrator
def approval(ctx: task.OrchestrationContext, seconds: float) -> Steps:
    ctx.set_custom_status("waiting")
    answer = ctx.wait_for_external_event("answer")
    timeout = ctx.create_timer(timedelta(seconds=seconds))
    winner = yield task.when_any([answer, timeout])
    if winner is timeout:
        return "timed out"
    return [timeout.cancel(), answer.get_result()]


@program()
async def event_beats_the_timer(run: Run) -> None:
    await run.start(approval, 3600)
    await run.says("waiting")
    await run.client.raise_orchestration_event(run.id(), "answer", data="yes")
    await run.finished()


@program()
async def timer_beats_the_event(run: Run) -> None:
    await run.go(approval, 0.06)


@program()
async def timer_longer_than_the_sdk_sets_at_once(run: Run) -> None:
    await run.start(approval, timedelta(days=30).total_seconds())
    await run.says("waiting")
    await run.client.raise_orchestration_event(run.id(), "answer", data="yes")
    await run.finished()


@orchestrator
def escalating(ctx: task.OrchestrationContext, _: None) -> Steps:
    asked = []
    for who in ("team", "lead", "head"):
        answer = ctx.wait_for_external_event(f"answer-{who}")
        timeout = ctx.create_timer(SOON)
        asked.append(who)
        winner = yield task.when_any([answer, timeout])
        if winner is answer:
            break
        answer.cancel()
    number = yield ctx.call_activity(add_one, input=len(asked))
    return [asked, number]


@program()
async def escalation_over_three_timers(run: Run) -> None:
    await run.go(escalating)


@orchestrator
def late_timer(ctx: task.OrchestrationContext, _: None) -> Steps:
    timer = ctx.create_timer(SOON)
    yield task.when_any([ctx.call_activity(echo, input=1), timer])
    yield ctx.create_timer(SOON * 3)
    return "the first timer fired while the second was waited for"


@program(order=Order.BAG)
async def timer_that_fires_while_another_is_waited_for(run: Run) -> None:
    await run.go(late_timer)
