"""Random lives of runs: operations in any order, with whatever comes of each, against a state store."""

import random
from contextlib import suppress

from shared.errors import ClaimLost, IllegalTransition
from shared.state.decisions import Claimed
from shared.state.store import StateStore
from shared.status import RunStatus, StepStatus, run_is_over
from tests.support.documents import a_claim, a_failure, a_result, a_run, a_run_result, after, an_attempt

STEPS = ("research", "writer", "editor")
RESULTS = (a_result(), a_result({"deep": [1, None, 2**60]}), a_failure(), a_failure(StepStatus.TIMED_OUT))


class RandomLife:
    """What happens to one run, chosen by `seed`. Time goes forward, now and then by more than a lease."""

    def __init__(self, store: StateStore, seed: int, task_id: str = "run-1") -> None:
        self._store = store
        self._random = random.Random(seed)
        self._task_id = task_id
        self._now = 0.0
        self._owners: dict[str, str] = {}

    async def begin(self) -> None:
        """Create the run."""
        await self._store.create_run(a_run(self._task_id, steps=STEPS))

    async def go_on(self, operations: int) -> None:
        """So many operations; many of them are refused, as they should be."""
        for number in range(operations):
            self._now += self._random.choice((0.0, 0.5, 3.0, 200.0))
            with suppress(ClaimLost, IllegalTransition):
                await self._one(number)

    async def _one(self, number: int) -> None:
        step = self._random.choice(STEPS)
        owner = self._random.choice((self._owners.get(step, "nobody"), f"owner-{number}"))
        match self._random.choice(("claim", "claim", "claim", "record", "release", "advance", "call off")):
            case "claim":
                claim = a_claim(step, task_id=self._task_id, owner=owner, at=self._now, attempt=number % 3 + 1)
                if isinstance(await self._store.claim_step(claim), Claimed):
                    self._owners[step] = owner
            case "record":
                result = self._random.choice(RESULTS)
                await self._store.record_step(self._task_id, step, owner=owner, result=result, now=after(self._now))
            case "release":
                attempt = an_attempt(number + 1).model_copy(update={"ended_at": after(self._now)})
                await self._store.release_step(self._task_id, step, owner=owner, attempt=attempt)
            case "call off":
                # Rarely, or no step would be claimed any more.
                if self._random.random() < 0.2:
                    await self._store.call_off(self._task_id, [step, "nested"], now=after(self._now))
            case _:
                to = self._random.choice((RunStatus.RUNNING, *RunStatus))
                if run_is_over(to) and self._random.random() < 0.8:
                    return
                ended = a_run_result(to) if run_is_over(to) else None
                await self._store.advance_run(self._task_id, to, now=after(self._now), result=ended)
