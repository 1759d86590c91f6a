"""Messages that come more than once: the agent is run once, and its run ends as if nothing had happened."""

from tests.faults.host.faults import EVERY, Deed, Fault, Point
from tests.faults.host.ground import Ground


async def test_a_run_whose_every_message_is_delivered_twice_asks_each_agent_once(ground: Ground) -> None:
    ground.request["agents"] = ["research", "writer"]
    twice = Fault(at=Point.COMPLETE, does=Deed.LOSE, time=EVERY)
    seen = await ground.lived(twice, listens_to=("research", "writer"))
    assert (seen.run["status"], seen.outcomes) == ("completed", ["answered", "answered"])
    assert (seen.reached["RECEIVE"], seen.reached["RECORD"], len(ground.model.requests)) == (4, 2, 2)
    assert (seen.run["calls_repeated"], seen.waiting, seen.dead) == (0, 0, 0)


async def test_a_step_whose_lock_is_lost_while_its_agent_works_is_not_run_beside_the_first(ground: Ground) -> None:
    seen = await ground.lived(Fault(at=Point.MODEL, does=Deed.LOSE_LOCK))
    assert (seen.run["status"], seen.step["attempt"], seen.run["calls_repeated"]) == ("completed", 1, 0)
    assert seen.reached["RECEIVE"] == 3, "the second delivery finds the claim, its copy the record"
    assert len(ground.model.requests) == 1
    assert (seen.waiting, seen.dead) == (0, 0)
