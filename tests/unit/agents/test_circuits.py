"""The runner reports what says something of its agent, and a further attempt waits while the circuit is open."""

from datetime import timedelta

from agents.activities import run_activity
from agents.delivery import Delivery, QueueConsumer
from shared.circuit import CircuitState
from shared.contracts import AgentResult, AgentTask, ReplyTo
from shared.errors import ModelRateLimited, ModelUnavailable
from shared.status import StepStatus
from tests.support.app_world import World, a_runner, an_agent
from tests.support.documents import NOW, a_run, a_task, after

CIRCUIT = "agent.tester"


async def no_reply(_: ReplyTo, __: AgentResult) -> None:
    """Nobody waits."""


async def consume(world: World, task: AgentTask) -> None:
    consumer = QueueConsumer(a_runner(an_agent(), world.resources), world.resources)
    body = task.model_dump_json().encode()
    await consumer.consume("tester", body, Delivery(f"call-{world.clock.now()}", no_reply, NOW))


async def run_of(world: World, number: int) -> AgentTask:
    await world.store.create_run(a_run(f"run-{number}", steps=("tester",)))
    return a_task("tester", task_id=f"run-{number}")


async def test_attempts_that_fail_open_the_agents_circuit_and_one_that_succeeds_begins_the_count_anew(
    world: World,
) -> None:
    away = ModelUnavailable("away")
    world.replies = [away, away, away, away, "Well.", away]
    for number in range(5):
        await consume(world, await run_of(world, number))
    assert (await world.resources.circuits.read(CIRCUIT)).failures == ()
    for number in range(5, 10):
        await consume(world, await run_of(world, number))
    circuit = await world.resources.circuits.read(CIRCUIT)
    assert (circuit.state, circuit.cause) == (CircuitState.OPEN, "ModelUnavailable: away")


async def test_a_rate_limit_opens_no_circuit(world: World) -> None:
    world.replies = [ModelRateLimited("429")]
    for number in range(6):
        await consume(world, await run_of(world, number))
    assert (await world.resources.circuits.read(CIRCUIT)).state is CircuitState.CLOSED


async def test_a_further_attempt_waits_until_the_circuit_may_be_tried_and_is_then_the_probe(world: World) -> None:
    world.replies = ["Well."]
    task = (await run_of(world, 1)).model_copy(update={"attempt": 2})
    for _ in range(5):
        await world.resources.circuits.failed(CIRCUIT, "broken")
    await consume(world, task)
    [copy] = world.bus.taken("tester-tasks")
    assert (copy.enqueue_at, AgentTask.model_validate_json(copy.body)) == (after(60), task)
    assert world.model.requests == []

    world.clock.advance(timedelta(seconds=60))
    await consume(world, task)
    assert (await world.step("run-1")).status is StepStatus.SUCCEEDED
    assert (await world.resources.circuits.read(CIRCUIT)).state is CircuitState.CLOSED


async def test_a_further_attempt_waits_no_longer_than_its_deadline(world: World) -> None:
    task = (await run_of(world, 1)).model_copy(update={"attempt": 2, "deadline": after(20)})
    await world.resources.circuits.force(CIRCUIT, CircuitState.OPEN)
    await consume(world, task)
    [copy] = world.bus.taken("tester-tasks")
    assert copy.enqueue_at == after(20)


async def test_an_agent_that_is_called_as_an_activity_is_refused_too(world: World) -> None:
    await world.resources.circuits.force(CIRCUIT, CircuitState.OPEN)
    runner = a_runner(an_agent(), world.resources)
    result = await run_activity(await run_of(world, 1), runner, world.resources.circuits, owner="call", now=NOW)
    assert (result.status, result.error and result.error.type) == (StepStatus.REJECTED, "CircuitIsOpen")
    assert world.model.requests == []
