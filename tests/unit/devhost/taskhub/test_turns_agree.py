"""However a turn is run, the response is the same: as the worker calls the function, by replay, and sticky.

Random orchestrators live through random histories, and every turn is run in each way. `--orchestrations N` runs more of
them, `--orchestrations-seed S` begins with the one that failed.
"""

import asyncio
import json
import random
import sys

import pytest
from durabletask.internal import orchestrator_service_pb2 as pb

from devhost.taskhub.determinism import without_stacks
from devhost.taskhub.durable_executor import DurableExecutor
from devhost.taskhub.hub import Turn
from devhost.taskhub.turns import StickyTurns
from tests.support import orchestrator_shapes
from tests.support.orchestrator_shapes import NATIVE
from tests.support.random_orchestrations import RandomRun, make_app
from tests.support.sdk_app import SdkApp
from tests.support.turn_driver import TurnDriver

pytestmark = pytest.mark.filterwarnings("ignore:azure.functions df_loads was called:DeprecationWarning")

MOST_TURNS = 60
MONEY = {"__class__": "Money", "__module__": orchestrator_shapes.__name__, "__data__": "21"}


class Forgetful(DurableExecutor):
    """Loses what it keeps every other turn, as a host that crashes or has too many orchestrations would."""

    turns = 0

    async def orchestrator(self, turn: Turn) -> pb.OrchestratorResponse:
        self.turns += 1
        if self.turns % 2:
            self.forget(turn.instance_id, turn.execution_id)
        return await super().orchestrator(turn)


def four_executors(app: SdkApp) -> list[DurableExecutor]:
    """By replay, sticky, sticky and forgetful, and as the worker calls the function."""
    return [
        DurableExecutor(app.functions, app, callable_of=app.callable_of),
        DurableExecutor(app.functions, app, callable_of=app.callable_of, turns=StickyTurns(check_every=3)),
        Forgetful(app.functions, app, callable_of=app.callable_of, turns=StickyTurns(check_every=10**9)),
        DurableExecutor(app.functions, app),
    ]


async def live_through(seed: int, app: SdkApp) -> None:
    run = RandomRun(seed)
    executors = four_executors(app)
    while run.end is None and run.turns < MOST_TURNS:
        await run.run(*executors)
        run.come()


# -- orchestrators of every shape ------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:azure.functions Durable JSON codec:DeprecationWarning")
@pytest.mark.parametrize("name", ["classic", *(each.__name__ for each in NATIVE)])
@pytest.mark.parametrize("value", [None, "21", '"text"', "no JSON", json.dumps(MONEY)])
async def test_orchestrators_of_every_shape_ask_for_the_same_however_their_turns_are_run(
    name: str, value: str | None
) -> None:
    app, driver = SdkApp(orchestrator_shapes.make_app()), TurnDriver(name, value)
    trace = pb.TraceContext(traceParent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    driver.inbox[0].executionStarted.parentTraceContext.CopyFrom(trace)
    executors = four_executors(app)
    while driver.end is None and driver.turns < 5:
        await driver.run(*executors)
        for event in tuple(driver.outstanding):
            driver.deliver(event)


async def test_a_turn_without_anything_new_is_refused_in_the_same_way() -> None:
    app, driver = SdkApp(orchestrator_shapes.make_app()), TurnDriver("no_input")
    executors = four_executors(app)
    await driver.run(*executors)
    turn = Turn("abc", "e0", driver.history, [])
    responses = [without_stacks(await executor.orchestrator(turn)) for executor in executors]
    assert all(each == responses[0] for each in responses)
    assert responses[0].actions[0].completeOrchestration.failureDetails.errorType.endswith("OrchestrationStateError")


# -- random ones -----------------------------------------------------------------------------------------------------


async def test_random_orchestrators_ask_for_the_same_however_their_turns_are_run(
    request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    count: int = request.config.getoption("--orchestrations")
    chosen: int | None = request.config.getoption("--orchestrations-seed")
    first = random.randrange(10**9) if chosen is None else chosen
    with capsys.disabled():
        sys.stdout.write(f"\nrandom orchestrations: seeds {first} to {first + count - 1}\n")
    app = SdkApp(make_app())
    for seed in range(first, first + count):
        try:
            await live_through(seed, app)
        except Exception as error:
            program = RandomRun(seed).program
            pytest.fail(f"{program}\n{error!r}\nagain with: --orchestrations-seed {seed} --orchestrations 1")
        await asyncio.sleep(0)
