"""Retries, which the SDK drives with timers."""

from datetime import timedelta
from typing import Any

from durabletask import task

from tests.contract.taskhub.programs.common import Steps, add_one, flaky
from tests.support.conformance.catalog import orchestrator, program
from tests.support.conformance.observation import Order
from tests.support.conformance.run import Run

MOMENT = timedelta(milliseconds=20)


@orchestrator
def retrying(ctx: task.OrchestrationContext, asked: list[Any]) -> Steps:
    policy = task.RetryPolicy(first_retry_interval=MOMENT, max_number_of_attempts=3)
    result = yield ctx.call_activity(flaky, input=asked, retry_policy=policy)
    return result


@program()
async def success_at_the_third_attempt(run: Run) -> None:
    await run.go(retrying, [run.nonce, 2])


@program()
async def success_at_the_first_attempt(run: Run) -> None:
    await run.go(retrying, [run.nonce, 0])


@program()
async def failure_at_every_attempt(run: Run) -> None:
    await run.go(retrying, [run.nonce, 9])


@orchestrator
def backing_off(ctx: task.OrchestrationContext, asked: list[Any]) -> Steps:
    policy = task.RetryPolicy(
        first_retry_interval=MOMENT, max_number_of_attempts=4, backoff_coefficient=2, max_retry_interval=2 * MOMENT
    )
    began = ctx.current_utc_datetime
    yield ctx.call_activity(flaky, input=asked, retry_policy=policy)
    return ctx.current_utc_datetime - began >= 5 * MOMENT


@program()
async def waits_between_attempts_grow(run: Run) -> None:
    await run.go(backing_off, [run.nonce, 3])


@orchestrator
def giving_up_by_time(ctx: task.OrchestrationContext, asked: list[Any]) -> Steps:
    policy = task.RetryPolicy(first_retry_interval=MOMENT, max_number_of_attempts=9, retry_timeout=timedelta(0))
    try:
        yield ctx.call_activity(flaky, input=asked, retry_policy=policy)
    except task.TaskFailedError:
        result = yield ctx.call_activity(add_one, input=1)
        return result


@program()
async def retries_end_with_their_time(run: Run) -> None:
    await run.go(giving_up_by_time, [run.nonce, 9])


@orchestrator
def retrying_several(ctx: task.OrchestrationContext, asked: list[Any]) -> Steps:
    policy = task.RetryPolicy(first_retry_interval=MOMENT, max_number_of_attempts=3)
    calls: list[task.Task[Any]] = [
        ctx.call_activity(flaky, input=[f"{asked[0]}-{each}", 1], retry_policy=policy) for each in range(asked[1])
    ]
    results = yield task.when_all(calls)
    return results


@program(order=Order.BAG)
async def retries_side_by_side(run: Run) -> None:
    state = await run.go(retrying_several, [run.nonce, 3])
    run.note("output", state.get_output())
