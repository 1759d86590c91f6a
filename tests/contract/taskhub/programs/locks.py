"""Critical sections: locks on entities, contended or not, and what is forbidden inside of them."""

from typing import Any

from durabletask import task
from durabletask.entities import EntityInstanceId

from tests.contract.taskhub.programs.common import Steps, echo, fail
from tests.support.conformance.catalog import orchestrator, program
from tests.support.conformance.observation import Order
from tests.support.conformance.run import Run


@orchestrator
def moving(ctx: task.OrchestrationContext, asked: list[Any]) -> Steps:
    """Moves an amount from one counter to another, with both locked: [from, to, amount]."""
    source, target = (EntityInstanceId.parse(each) for each in asked[:2])
    with (yield ctx.lock_entities([source, target])):
        yield ctx.call_entity(source, "add", -asked[2])
        yield ctx.call_activity(echo, input="in between")
        moved = yield ctx.call_entity(target, "add", asked[2])
    return moved


@program()
async def two_entities_locked_together(run: Run) -> None:
    one, other = run.entity("counter"), run.entity("counter", "other")
    await run.go(moving, [str(one), str(other), 5])
    await run.entity_state(one, -5)
    await run.entity_state(other, 5)


@orchestrator
def holding(ctx: task.OrchestrationContext, asked: list[Any]) -> Steps:
    one = EntityInstanceId.parse(asked[0])
    with (yield ctx.lock_entities([one])):
        ctx.set_custom_status("locked")
        yield ctx.wait_for_external_event("release")
        value = yield ctx.call_entity(one, "add", 1)
    after = yield ctx.call_activity(echo, input=value)
    return after


@program()
async def lock_is_seen_and_given_back(run: Run) -> None:
    one = run.entity("counter")
    await run.client.signal_entity(one, "add", 1)
    await run.entity_state(one, 1)
    await run.start(holding, [str(one)])
    await run.says("locked")
    run.note("locked", await run.is_locked(one))
    await run.client.raise_orchestration_event(run.id(), "release")
    await run.finished()
    run.note("locked after", await run.is_locked(one))


@program(order=Order.RACING)
async def lock_that_is_waited_for(run: Run) -> None:
    one = run.entity("counter")
    await run.start(holding, [str(one)], name="first")
    await run.says("locked", run.id("first"))
    await run.start(holding, [str(one)], name="second")
    await run.recorded("entityLockRequested", run.id("second"))
    await run.client.raise_orchestration_event(run.id("second"), "release")
    state = await run.client.get_orchestration_state(run.id("second"))
    run.note("second", state is not None and state.serialized_custom_status)
    await run.client.raise_orchestration_event(run.id("first"), "release")
    await run.finished(run.id("first"))
    await run.finished(run.id("second"))


@program(order=Order.RACING)
async def crossing_locks_do_not_block_each_other_for_ever(run: Run) -> None:
    one, other = run.entity("counter"), run.entity("counter", "other")
    for number in range(4):
        pair = [str(one), str(other)] if number % 2 else [str(other), str(one)]
        await run.start(moving, [*pair, 1], name=str(number))
    for number in range(4):
        state = await run.finished(run.id(str(number)))
        run.note(f"status of {number}", state.runtime_status.name)
        run.watched.remove(run.id(str(number)))
    await run.entity_state(one, 0)


@orchestrator
def failing_while_it_holds(ctx: task.OrchestrationContext, asked: list[Any]) -> Steps:
    with (yield ctx.lock_entities([EntityInstanceId.parse(asked[0])])):
        yield ctx.call_activity(fail, input="inside")


@program()
async def failure_gives_the_lock_back(run: Run) -> None:
    one, other = run.entity("counter"), run.entity("counter", "other")
    await run.go(failing_while_it_holds, [str(one)], name="failing")
    await run.go(moving, [str(one), str(other), 1], name="next")


@orchestrator
def returning_while_it_holds(ctx: task.OrchestrationContext, asked: list[Any]) -> Steps:
    yield ctx.lock_entities([EntityInstanceId.parse(asked[0])])
    return "never given back by the program"


@program()
async def end_gives_the_lock_back(run: Run) -> None:
    one, other = run.entity("counter"), run.entity("counter", "other")
    await run.go(returning_while_it_holds, [str(one)], name="careless")
    await run.go(moving, [str(one), str(other), 1], name="next")


@orchestrator
def continuing_while_it_holds(ctx: task.OrchestrationContext, asked: list[Any]) -> Steps:
    one, life = EntityInstanceId.parse(asked[0]), asked[1]
    with (yield ctx.lock_entities([one])):
        value = yield ctx.call_entity(one, "add", 1)
        if life == 0:
            ctx.continue_as_new([asked[0], 1])
            return None
    return value


@program()
async def continuing_as_new_gives_the_lock_back(run: Run) -> None:
    await run.go(continuing_while_it_holds, [str(run.entity("counter")), 0])


@orchestrator
def breaking_a_rule(ctx: task.OrchestrationContext, asked: list[Any]) -> Steps:
    """[a locked entity, another entity, which rule]"""
    locked, other = (EntityInstanceId.parse(each) for each in asked[:2])
    with (yield ctx.lock_entities([locked])):
        match asked[2]:
            case "call another":
                yield ctx.call_entity(other, "add", 1)
            case "signal the locked one":
                ctx.signal_entity(locked, "add", 1)
            case "lock again":
                yield ctx.lock_entities([other])


@program()
async def what_is_forbidden_while_locked(run: Run) -> None:
    one, other = run.entity("counter"), run.entity("counter", "other")
    for number, rule in enumerate(("call another", "signal the locked one", "lock again")):
        await run.go(breaking_a_rule, [str(one), str(other), rule], name=str(number))


@orchestrator
def locking_none(ctx: task.OrchestrationContext, _: None) -> Steps:
    yield ctx.lock_entities([])


@program()
async def locking_no_entity_fails(run: Run) -> None:
    await run.go(locking_none)


@program(order=Order.RACING)
async def signal_to_a_locked_entity_waits(run: Run) -> None:
    one = run.entity("counter")
    await run.start(holding, [str(one)])
    await run.says("locked")
    await run.client.signal_entity(one, "add", 10)
    await run.client.raise_orchestration_event(run.id(), "release")
    await run.finished()
    await run.entity_state(one, 11)


@program()
async def termination_gives_the_lock_back(run: Run) -> None:
    one = run.entity("counter")
    await run.start(holding, [str(one)])
    await run.says("locked")
    await run.client.terminate_orchestration(run.id(), output="enough")
    await run.finished()
    await run.client.clean_entity_storage(remove_empty_entities=False)
    run.note("locked after", await run.is_locked(one))
