"""A store that fails before or after a write took effect, or whose documents change meanwhile: nothing is lost."""

from dataclasses import dataclass

import pytest

from scripts.cosmos_server import KEY
from tests.faults.host.conflicts import conflicting
from tests.faults.host.faults import Deed, Fault, Moment, Point
from tests.faults.host.ground import Ground


@dataclass(frozen=True)
class Failure:
    """A write that fails, and what the call then costs."""

    at: Point
    moment: Moment
    time: int = 1
    repeated: int = 0
    refuses: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.moment} {self.at.value}, time {self.time}"


FAILURES = [
    Failure(Point.ADVANCE_RUN, "before"),
    Failure(Point.ADVANCE_RUN, "after"),
    Failure(Point.CLAIM, "before"),
    # Nobody can tell whether the runner that got no answer has begun.
    Failure(Point.CLAIM, "after", repeated=1),
    Failure(Point.RECORD, "before"),
    Failure(Point.RECORD, "after"),
    Failure(Point.RELEASE, "before", refuses=(500,)),
    Failure(Point.RELEASE, "after", refuses=(500,)),
    Failure(Point.ADVANCE_RUN, "before", time=2),
    Failure(Point.ADVANCE_RUN, "after", time=2),
]


@pytest.mark.parametrize("failure", FAILURES, ids=str)
async def test_a_run_completes_although_a_write_fails_before_or_after_it_took_effect(
    ground: Ground, failure: Failure
) -> None:
    ground.model.refuses = list(failure.refuses)
    seen = await ground.lived(Fault(at=failure.at, moment=failure.moment, does=Deed.FAIL, time=failure.time))
    assert (seen.run["status"], seen.outcomes, seen.step["status"]) == ("completed", ["answered"], "succeeded")
    assert len(ground.model.requests) == 1 + len(failure.refuses)
    assert (seen.run["calls_repeated"], seen.waiting, seen.dead) == (failure.repeated, 0, 0)


async def test_a_run_whose_every_guarded_write_meets_a_changed_document_first_completes_and_is_paid_once(
    ground: Ground, cosmos: str
) -> None:
    """The stock Cosmos DB client over HTTP, and a server between it and the account that answers 412 the first time."""
    async with conflicting(cosmos) as conflicts:
        account = f"AccountEndpoint={conflicts.endpoint};AccountKey={KEY};"
        ground.settings |= {"MUSTER_STATE": "cosmos", "CosmosConnection": account}
        seen = await ground.lived()
    assert (seen.run["status"], seen.outcomes, seen.step["attempt"]) == ("completed", ["answered"], 1)
    assert (len(ground.model.requests), seen.run["calls_repeated"]) == (1, 0)
    assert (seen.waiting, seen.dead) == (0, 0)
    assert conflicts.count >= 2, "the run and its step"
