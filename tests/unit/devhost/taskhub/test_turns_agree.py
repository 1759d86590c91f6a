"""However a turn is run, the response is the same: as the worker calls the function, by replay, and sticky.

Random orchestrators live through random histories, and every turn is run in each way. `--orchestrations N` runs more of
them, `--orchestrations-seed S` begins with the one that failed.
"""

import asyncio
import random
import sys

import pytest

from devhost.taskhub.durable_executor import DurableExecutor
from devhost.taskhub.hub import Turn
from devhost.taskhub.turns import StickyTurns
from tests.support.random_orchestrations import RandomRun, make_app
from tests.support.sdk_app import SdkApp

pytestmark = pytest.mark.filterwarnings("ignore:azure.functions df_loads was called:DeprecationWarning")

MOST_TURNS = 60


class Forgetful(DurableExecutor):
    """Loses what it keeps every other turn, as a host that crashes or has too many orchestrations would."""

    turns = 0

    async def orchestrator(self, turn: Turn):  # type: ignore[no-untyped-def]
        self.turns += 1
        if self.turns % 2:
            self.forget(turn.instance_id, turn.execution_id)
        return await super().orchestrator(turn)


async def live_through(seed: int, app: SdkApp) -> None:
    run = RandomRun(seed)
    executors = [
        DurableExecutor(app.functions, app, callable_of=app.callable_of),
        DurableExecutor(app.functions, app, callable_of=app.callable_of, turns=StickyTurns(check_every=3)),
        Forgetful(app.functions, app, callable_of=app.callable_of, turns=StickyTurns(check_every=10**9)),
        DurableExecutor(app.functions, app),
    ]
    while run.end is None and run.turns < MOST_TURNS:
        await run.run(*executors)
        run.come()


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
