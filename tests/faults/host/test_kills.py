"""Kill -9 before and after every point of one agent call: the run ends as it would have, and what that cost is known.

Each test is two lives of the host, the first of which ends amid the call. What is expected says how often the model is
asked, and how many of these calls the run counts as perhaps paid for twice: those whose answers were lost between the
claim and the record, which is the only window there is.
"""

from dataclasses import dataclass

import pytest

from tests.faults.host.faults import Fault, Moment, Point
from tests.faults.host.ground import Ground


@dataclass(frozen=True)
class Kill:
    """A kill at a point, and what the call then costs."""

    at: Point
    moment: Moment
    asked: int = 1
    repeated: int = 0
    time: int = 1

    def __str__(self) -> str:
        return f"{self.moment} {self.at.value}" + (f", time {self.time}" if self.time > 1 else "")

    @property
    def fault(self) -> Fault:
        """The kill itself."""
        return Fault(at=self.at, moment=self.moment, time=self.time)


ANSWERED = [
    Kill(Point.DISPATCH, "before"),
    Kill(Point.DISPATCH, "after"),
    Kill(Point.DELIVER, "after"),
    Kill(Point.RECEIVE, "after"),
    Kill(Point.CLAIM, "before"),
    Kill(Point.CLAIM, "after", repeated=1),
    Kill(Point.MODEL, "before", repeated=1),
    Kill(Point.MODEL, "after", asked=2, repeated=1),
    Kill(Point.RECORD, "before", asked=2, repeated=1),
    Kill(Point.RECORD, "after"),
    Kill(Point.REPLY, "before"),
    Kill(Point.REPLY, "after"),
    Kill(Point.COMPLETE, "before"),
    Kill(Point.COMPLETE, "after"),
]
TRIED_AGAIN = [
    Kill(Point.RELEASE, "before", asked=2, repeated=1),
    Kill(Point.RELEASE, "after", asked=2),
    Kill(Point.COPY, "before", asked=2),
    Kill(Point.COPY, "after", asked=2),
    Kill(Point.COMPLETE, "before", asked=2),
    Kill(Point.COMPLETE, "after", asked=2),
]
FAILED = [
    Kill(Point.RECORD, "before", asked=2, repeated=1),
    Kill(Point.RECORD, "after"),
    Kill(Point.REPLY, "before"),
    Kill(Point.REPLY, "after"),
    Kill(Point.GIVE_BACK, "before"),
    Kill(Point.GIVE_BACK, "after"),
    Kill(Point.GIVE_BACK, "before", time=3),
    Kill(Point.GIVE_BACK, "after", time=3),
]


@pytest.mark.parametrize("kill", ANSWERED, ids=str)
async def test_a_run_completes_wherever_in_an_agent_call_the_host_is_killed(ground: Ground, kill: Kill) -> None:
    await ground.killed(kill.fault)
    seen = await ground.lived()
    assert (seen.run["status"], seen.outcomes, seen.step["status"]) == ("completed", ["answered"], "succeeded")
    assert (len(ground.model.requests), seen.run["calls_repeated"]) == (kill.asked, kill.repeated)
    assert (seen.waiting, seen.dead) == (0, 0)


@pytest.mark.parametrize("place", ["activity-ended", "turn-begins", "turn-ended", "turn-applied", "commit-done"])
async def test_a_run_completes_when_the_host_is_killed_as_its_orchestrator_begins_to_wait(
    ground: Ground, place: str
) -> None:
    await ground.killed(kill_hub_at=(place, 1))
    seen = await ground.lived()
    assert (seen.run["status"], seen.outcomes) == ("completed", ["answered"])
    assert len(ground.model.requests) <= 1 + seen.run["calls_repeated"] <= 2, "its agent may be anywhere in its call"
    assert (seen.waiting, seen.dead) == (0, 0)


@pytest.mark.parametrize("kill", TRIED_AGAIN, ids=str)
async def test_an_attempt_that_failed_is_followed_by_one_more_wherever_the_host_is_killed_in_between(
    ground: Ground, kill: Kill
) -> None:
    ground.model.refuses = [500]
    await ground.killed(kill.fault)
    seen = await ground.lived()
    assert (seen.run["status"], seen.step["status"], seen.step["attempt"]) == ("completed", "succeeded", 2)
    assert (len(ground.model.requests), seen.run["calls_repeated"]) == (kill.asked, kill.repeated)
    assert (seen.waiting, seen.dead) == (0, 0)


@pytest.mark.parametrize("kill", FAILED, ids=str)
async def test_a_failure_for_good_is_told_and_its_message_kept_wherever_the_host_is_killed(
    ground: Ground, kill: Kill
) -> None:
    ground.model.refuses = [400, 400]
    await ground.killed(kill.fault)
    seen = await ground.lived()
    assert (seen.run["status"], seen.outcomes, seen.step["error"]["type"]) == ("failed", ["failed"], "ModelRefused")
    assert (len(ground.model.requests), seen.run["calls_repeated"]) == (kill.asked, kill.repeated)
    assert (seen.waiting, seen.dead) == (0, 1)
