"""Messages that end without an answer of their agent: who waits is told at once, or at the deadline at the latest."""

import json
from datetime import timedelta
from typing import Any

from tests.faults.host.faults import Fault, Point
from tests.faults.host.ground import START, Ground
from tests.support.host_process import ROOT

AGAIN = timedelta(minutes=4)
"""After a crash in Azure a message comes again when its lock has ended, long after its claim. Twice that is less than
the duplicate detection's window: a batch whose sending was not on record yet is sent again, and known as a repeat."""
TOPOLOGY = ROOT / "infra" / "servicebus.json"


async def test_a_message_that_kills_its_host_at_each_delivery_fails_its_step_at_once_and_is_kept(
    ground: Ground,
) -> None:
    await ground.killed(Fault(at=Point.MODEL))
    await ground.killed(Fault(at=Point.MODEL), later=AGAIN)
    seen = await ground.lived(later=AGAIN, asks={"/api/dead-letters?agent=research": None})
    assert (seen.run["status"], seen.outcomes) == ("failed", ["failed"])
    assert seen.over_at == START + 2 * AGAIN, "and not at its deadline, in an hour"
    assert "stopped without a word at each of 2 deliveries" in seen.step["error"]["message"]
    assert (len(ground.model.requests), seen.run["calls_repeated"]) == (0, 1), "what was lost last is not repeated"
    [letter] = seen.asked["/api/dead-letters?agent=research"]["dead_letters"]
    assert (letter["error"]["type"], letter["deliveries"], letter["run"]["status"]) == ("RunnerLost", 3, "failed")


async def test_who_waits_for_a_message_that_expires_in_its_queue_is_told_at_its_steps_deadline(ground: Ground) -> None:
    topology: dict[str, Any] = json.loads(TOPOLOGY.read_text())
    for queue in topology["queues"]:
        queue["defaultMessageTimeToLive"] = "PT1M"
    impatient = ground.folder / "topology.json"
    impatient.write_text(json.dumps(topology))
    ground.request["deadline_seconds"] = 600
    await ground.killed(Fault(at=Point.DISPATCH, moment="after"), topology=impatient)
    seen = await ground.lived(
        later=timedelta(minutes=2), topology=impatient, asks={"/api/dead-letters?agent=research": None}
    )
    assert (seen.run["status"], seen.outcomes, seen.over_at) == ("failed", ["timed_out"], START + timedelta(minutes=10))
    [letter] = seen.asked["/api/dead-letters?agent=research"]["dead_letters"]
    assert letter["reason"] == "TTLExpiredException"
    assert ground.model.requests == []
