"""Entities: operations from clients, orchestrations and other entities, at once and delayed."""

from datetime import UTC, datetime, timedelta
from typing import Any

from durabletask import task
from durabletask.client import EntityQuery
from durabletask.entities import DurableEntity, EntityContext, EntityInstanceId

from tests.contract.taskhub.programs.common import Steps, add_one, nothing
from tests.support.conformance.catalog import entity, orchestrator, program
from tests.support.conformance.observation import Order
from tests.support.conformance.run import Run


@entity
def counter(ctx: EntityContext, amount: int | None) -> Any:
    value = ctx.get_state(int, 0)
    match ctx.operation:
        case "add":
            value += amount or 1
            ctx.set_state(value)
        case "delete":
            ctx.set_state(None)
        case "spoil":
            ctx.set_state(-1)
            raise ValueError("spoilt")
        case "get":
            pass
        case other:
            raise NotImplementedError(other)
    return value


@entity
class Account(DurableEntity):
    """An entity that is a class."""

    def deposit(self, amount: int) -> int:
        balance = self.get_state(int, 0) + amount
        self.set_state(balance)
        return balance

    def balance(self) -> int:
        return self.get_state(int, 0)

    def pass_on(self, asked: list[Any]) -> None:
        key, amount = asked
        self.set_state(self.get_state(int, 0) - amount)
        self.signal_entity(EntityInstanceId("account", key), "deposit", amount)

    def pass_on_later(self, asked: list[Any]) -> None:
        key, amount = asked
        when = datetime.now(UTC) + timedelta(milliseconds=60)
        self.signal_entity(EntityInstanceId("account", key), "deposit", amount, when)

    def hire(self, instance_id: str) -> None:
        self.schedule_new_orchestration("nothing", input="hired", instance_id=instance_id)


@program()
async def signal_from_a_client(run: Run) -> None:
    one = run.entity("counter")
    await run.client.signal_entity(one, "add", 5)
    await run.entity_state(one, 5)
    await run.client.signal_entity(one, "add")
    await run.entity_state(one, 6)


@program()
async def signals_are_applied_in_order(run: Run) -> None:
    one = run.entity("counter")
    for number in range(1, 21):
        await run.client.signal_entity(one, "add", number)
    await run.entity_state(one, 210)


@orchestrator
def calling(ctx: task.OrchestrationContext, asked: list[Any]) -> Steps:
    """Calls operations of one entity: [its id, [operation, input], ...]."""
    one = EntityInstanceId.parse(asked[0])
    answers = []
    for operation, value in asked[1:]:
        try:
            answers.append((yield ctx.call_entity(one, operation, value)))
        except Exception as failure:
            answers.append([type(failure).__name__, str(failure)])
    return answers


@program()
async def call_from_an_orchestration(run: Run) -> None:
    await run.go(calling, [str(run.entity("counter")), ["add", 2], ["add", 3], ["get", None]])


@program()
async def calls_of_an_entity_that_is_a_class(run: Run) -> None:
    await run.go(calling, [str(run.entity("account")), ["deposit", 2], ["balance", None]])


@program()
async def failing_operation_changes_nothing(run: Run) -> None:
    await run.go(calling, [str(run.entity("counter")), ["add", 2], ["spoil", None], ["get", None]])


@program()
async def unknown_operation_fails(run: Run) -> None:
    await run.go(calling, [str(run.entity("account")), ["rob", None], ["balance", None]])


@program()
async def unknown_entity_fails(run: Run) -> None:
    await run.go(calling, [str(run.entity("nobody_registered_this")), ["add", 1]])


@program()
async def deleted_state_begins_anew(run: Run) -> None:
    await run.go(calling, [str(run.entity("counter")), ["add", 2], ["delete", None], ["get", None], ["add", 1]])


@program()
async def entity_that_was_deleted(run: Run) -> None:
    one = run.entity("counter")
    await run.go(calling, [str(one), ["add", 2], ["delete", None]])
    found = await run.client.get_entity(one, include_state=False)
    run.note("found", found is not None)


@program()
async def failing_signal_changes_nothing(run: Run) -> None:
    one = run.entity("counter")
    await run.client.signal_entity(one, "add", 2)
    await run.entity_state(one, 2)
    await run.client.signal_entity(one, "spoil")
    await run.client.signal_entity(one, "add", 3)
    await run.entity_state(one, 5)


@orchestrator
def signalling(ctx: task.OrchestrationContext, asked: list[Any]) -> Steps:
    one, amounts, delay = EntityInstanceId.parse(asked[0]), asked[1], asked[2]
    when = ctx.current_utc_datetime.replace(tzinfo=UTC) + timedelta(seconds=delay) if delay else None
    for amount in amounts:
        ctx.signal_entity(one, "add", amount, when)
    done = yield ctx.call_activity(add_one, input=0)
    return done


@program()
async def signals_from_an_orchestration(run: Run) -> None:
    one = run.entity("counter")
    await run.go(signalling, [str(one), [1, 2, 3], 0])
    await run.entity_state(one, 6)


@program()
async def delayed_signals_from_an_orchestration(run: Run) -> None:
    one = run.entity("counter")
    await run.go(signalling, [str(one), [1, 2], 0.1])
    await run.entity_state(one, 3)


@program()
async def delayed_signal_from_a_client(run: Run) -> None:
    one = run.entity("counter")
    await run.client.signal_entity(one, "add", 5, signal_time=datetime.now(UTC) + timedelta(milliseconds=300))
    await run.client.signal_entity(one, "add", 1)
    await run.entity_state(one, 1)
    await run.entity_state(one, 6)


@program()
async def entity_signals_another(run: Run) -> None:
    one, other = run.entity("account"), run.entity("account", "other")
    await run.client.signal_entity(one, "deposit", 10)
    await run.client.signal_entity(one, "pass_on", [other.key, 4])
    await run.entity_state(other, 4)
    await run.entity_state(one, 6)


@program()
async def entity_signals_another_later(run: Run) -> None:
    one, other = run.entity("account"), run.entity("account", "other")
    await run.client.signal_entity(one, "pass_on_later", [other.key, 4])
    await run.entity_state(other, 4)


@program()
async def entity_signals_itself(run: Run) -> None:
    one = run.entity("account")
    await run.client.signal_entity(one, "deposit", 10)
    await run.client.signal_entity(one, "pass_on", [one.key, 4])
    await run.client.signal_entity(one, "deposit", 1)
    await run.entity_state(one, 11)


@program()
async def entity_starts_an_orchestration(run: Run) -> None:
    await run.client.signal_entity(run.entity("account"), "hire", run.id())
    run.watch(run.id())

    async def exists() -> bool:
        return await run.client.get_orchestration_state(run.id()) is not None

    await run.until(exists, "the orchestration to be started")
    await run.finished()


@orchestrator
def calling_many(ctx: task.OrchestrationContext, asked: list[Any]) -> Steps:
    one = EntityInstanceId.parse(asked[0])
    answers = yield task.when_all([ctx.call_entity(one, "add", 1) for _ in range(asked[1])])
    return sorted(answers)


@program(order=Order.RACING)
async def calls_side_by_side_are_applied_one_by_one(run: Run) -> None:
    await run.go(calling_many, [str(run.entity("counter")), 5])


@program(order=Order.RACING)
async def orchestrations_that_call_one_entity(run: Run) -> None:
    one = run.entity("counter")
    for number in range(5):
        await run.start(signalling, [str(one), [1, 1], 0], name=str(number))
    for number in range(5):
        await run.finished(run.id(str(number)))
    await run.entity_state(one, 10)


@program()
async def names_of_entities_have_no_case(run: Run) -> None:
    one = run.entity("Counter")
    run.note("id", str(one))
    await run.client.signal_entity(one, "add", 1)
    await run.entity_state(EntityInstanceId("COUNTER", one.key), 1)


@program()
async def entity_that_does_not_exist(run: Run) -> None:
    run.note("found", await run.client.get_entity(run.entity("counter", "nobody")))


@program()
async def entity_without_its_state(run: Run) -> None:
    one = run.entity("counter")
    await run.client.signal_entity(one, "add", 1)
    await run.entity_state(one, 1)
    found = await run.client.get_entity(one, include_state=False)
    run.note("includes state", found is not None and found.includes_state)


@program(alone=True)
async def listing_entities_by_pages(run: Run) -> None:
    for number in range(5):
        one = run.entity("counter", str(number))
        await run.client.signal_entity(one, "add", number + 1)
        await run.entity_state(one, number + 1)
    other = run.entity("account")
    await run.client.signal_entity(other, "deposit", 7)
    await run.entity_state(other, 7)
    for size in (2, 10):
        found = await run.client.get_all_entities(EntityQuery(page_size=size))
        run.note(f"pages of {size}", sorted([str(each.id), each.get_state(int)] for each in found))
    found = await run.client.get_all_entities(EntityQuery(instance_id_starts_with="@account"))
    run.note("accounts", [str(each.id) for each in found])
    found = await run.client.get_all_entities(EntityQuery(include_state=False))
    run.note("states", sorted({each.includes_state for each in found}))


@program(alone=True)
async def cleaning_up_entities(run: Run) -> None:
    kept, gone = run.entity("counter", "kept"), run.entity("counter", "gone")
    await run.go(calling, [str(kept), ["add", 1]], name="first")
    await run.go(calling, [str(gone), ["add", 1], ["delete", None]], name="second")
    result = await run.client.clean_entity_storage()
    run.note("removed", [result.empty_entities_removed, result.orphaned_locks_released])
    run.note("left", [str(each.id) for each in await run.client.get_all_entities()])


@program()
async def id_of_an_entity_for_an_orchestration(run: Run) -> None:
    await run.go(nothing, 1, name="plain")
    run.note("entity", await run.client.get_entity(EntityInstanceId("counter", "plain")))
