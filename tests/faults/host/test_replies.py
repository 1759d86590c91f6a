"""Reply events that are refused, lost or late: what the agent made is kept, and the run says what it waited for."""

from datetime import timedelta

import pytest

from tests.faults.host.faults import Deed, Fault, Moment, Point
from tests.faults.host.ground import START, Ground, Report

DEADLINE = timedelta(seconds=60)


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_reply_that_the_task_hub_does_not_take_is_repeated_from_the_record(
    ground: Ground, moment: Moment
) -> None:
    seen = await ground.lived(Fault(at=Point.REPLY, moment=moment, does=Deed.FAIL))
    assert (seen.run["status"], seen.outcomes) == ("completed", ["answered"])
    assert (len(ground.model.requests), seen.step["attempt"], seen.run["calls_repeated"]) == (1, 1, 0)
    assert (seen.waiting, seen.dead) == (0, 0)


async def test_a_run_whose_reply_is_lost_ends_at_its_deadline_and_says_so_and_the_record_stays(ground: Ground) -> None:
    ground.request["deadline_seconds"] = DEADLINE.total_seconds()
    seen = await ground.lived(Fault(at=Point.REPLY, does=Deed.LOSE))
    check_told_the_truth(ground, seen)


async def test_a_reply_that_comes_after_the_deadline_changes_nothing_in_the_run_that_ended_without_it(
    ground: Ground,
) -> None:
    ground.request["deadline_seconds"] = DEADLINE.total_seconds()
    seen = await ground.lived(Fault(at=Point.REPLY, does=Deed.DELAY))
    assert seen.late == [410]
    check_told_the_truth(ground, seen)


def check_told_the_truth(ground: Ground, seen: Report) -> None:
    assert (seen.run["status"], seen.outcomes, seen.over_at) == ("failed", ["timed_out"], START + DEADLINE)
    assert (seen.step["status"], len(ground.model.requests)) == ("succeeded", 1)
    assert (seen.waiting, seen.dead) == (0, 0)
