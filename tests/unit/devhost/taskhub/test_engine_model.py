"""Random orchestrations with random things happening to them, held against what a plain model says must come of it."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import pytest
from durabletask import task
from durabletask.internal import orchestrator_service_pb2 as pb

from tests.support.engine_ground import EngineGround
from tests.support.hub_app import HOUR, Steps

# The SDK advises once in a process; an app's own tests would see the same.
pytestmark = pytest.mark.filterwarnings("ignore:azure.functions df_loads was called:DeprecationWarning")

type Plan = list[tuple[str, int]]


def make_app() -> df.DFApp:
    app = df.DFApp()

    @app.activity_trigger(input_name="number")
    async def double(number: int) -> int:
        return number * 2

    @app.orchestration_trigger(context_name="ctx")
    def planned(ctx: task.OrchestrationContext, plan: Plan) -> Steps:
        total = 0
        for kind, number in plan:
            match kind:
                case "activity":
                    total += yield ctx.call_activity("double", input=number)
                case "fan":
                    calls: list[task.Task[Any]] = [ctx.call_activity("double", input=each) for each in range(number)]
                    total += sum((yield task.when_all(calls)))
                case "timer":
                    yield ctx.create_timer(number * HOUR)
                case "event":
                    total += yield ctx.wait_for_external_event("number")
                case "child":
                    total += yield ctx.call_sub_orchestrator("planned", input=[["activity", number], ["timer", 1]])
        return total

    return app


def expected(plan: Plan, raised: list[int]) -> int:
    """What `planned` returns: events are taken in the order they came."""
    numbers = iter(raised)
    worth: dict[str, Callable[[int], int]] = {
        "activity": lambda number: number * 2,
        "fan": lambda number: number * (number - 1),
        "timer": lambda _: 0,
        "event": lambda _: next(numbers),
        "child": lambda number: number * 2,
    }
    return sum(worth[kind](number) for kind, number in plan)


def random_plan(source: random.Random) -> Plan:
    kinds = ("activity", "activity", "fan", "timer", "event", "child")
    return [(source.choice(kinds), source.randint(1, 9)) for _ in range(source.randint(1, 6))]


async def act(ground: EngineGround, source: random.Random, instance_id: str) -> None:
    """Do something that changes nothing of the result: pause and go on, let time pass, start the process again."""
    instance = ground.engine.context.instances.find(instance_id)
    assert instance is not None
    match source.randint(0, 3):
        case 0 if not instance.finished:
            ground.engine.suspend(instance, None)
            await ground.still() if source.random() < 0.5 else None
            if not instance.finished:
                ground.engine.resume(instance, None)
        case 1:
            await ground.run_dry()
        case 2:
            await ground.still()
    await ground.engine.settled()


@pytest.mark.parametrize("seed", range(40))
async def test_whatever_happens_meanwhile_orchestrations_end_as_the_model_says(tmp_path: Path, seed: int) -> None:
    source = random.Random(seed)
    ground = EngineGround(tmp_path / "hub", make_app(), seed=seed)
    ground.start()
    plans = {f"planned-{number}": random_plan(source) for number in range(4)}
    raised: dict[str, list[int]] = {each: [] for each in plans}
    for instance_id, plan in plans.items():
        text = str([[kind, number] for kind, number in plan]).replace("'", '"')
        await ground.begin("planned", text, instance_id)
    waits = [each for each, plan in plans.items() for kind, _ in plan if kind == "event"]
    source.shuffle(waits)
    for instance_id in waits:
        await act(ground, source, source.choice(list(plans)))
        number = source.randint(1, 100)
        raised[instance_id].append(number)
        await ground.raise_event(instance_id, source.choice(("number", "Number", "NUMBER")), str(number))
        if source.random() < 0.3:
            ground.engine.die()
            ground = EngineGround(tmp_path / "hub", make_app(), clock=ground.clock, seed=seed)
            ground.start()
    await ground.run_dry()
    for instance_id, plan in plans.items():
        assert ground.status(instance_id) == pb.ORCHESTRATION_STATUS_COMPLETED, (instance_id, plan)
        assert ground.output(instance_id) == str(expected(plan, raised[instance_id])), (instance_id, plan)
    assert ground.engine.idle
    assert ground.engine.next_due is None
    await ground.close()
