"""Dead letters are shown with their runs and replayed once; whatever cannot be replayed says why and stays."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from orchestrations.dead_letters import places_of
from orchestrations.replaying import Replay, Replayer
from shared import names
from shared.contracts import AgentTask
from shared.errors import BusUnavailable
from shared.state.documents import RunDocument
from shared.status import RunStatus, StepStatus
from tests.support.app_world import World
from tests.support.dead_letter_desk import CARDS, QUEUE, Desk
from tests.support.documents import a_claim, a_failure, a_result, a_run, a_run_result, a_task, after


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world)


async def a_live_run(world: World, **changes: Any) -> None:
    await world.store.create_run(a_run(**changes))
    await world.store.advance_run("run-1", RunStatus.RUNNING, now=after(1))


async def fail_step(world: World) -> None:
    await world.store.claim_step(a_claim())
    await world.store.record_step("run-1", "research", owner="first", result=a_failure(), now=after(5))


# -- looking ----------------------------------------------------------------------------------------------------


async def test_a_dead_letter_is_shown_with_why_it_died_how_old_it_is_and_the_run_it_belongs_to(
    desk: Desk, world: World
) -> None:
    await a_live_run(world)
    await fail_step(world)
    dead = desk.kill(a_task())
    world.clock.advance(timedelta(seconds=90))
    [shown] = await desk.letters()
    assert (shown["id"], shown["queue"], shown["agent"], shown["reason"]) == (
        dead.id,
        QUEUE,
        "research",
        "MaxDeliveryCountExceeded",
    )
    assert (shown["error"]["type"], shown["attempts"], shown["age_seconds"]) == ("Broken", 1, 90)
    assert shown["run"] == {"id": "run-1", "status": "running", "step_id": "research", "step_status": "failed"}


@pytest.mark.parametrize("body", [b"not json", b"{}", b"\xff\xfe", b'{"task_id": 7}', b"[" * 10_000])
async def test_a_message_that_is_no_task_is_shown_with_what_is_wrong_with_it(desk: Desk, body: bytes) -> None:
    desk.kill(body)
    [shown] = await desk.letters()
    assert (shown["error"]["type"], shown["run"]) == ("InvalidMessage", None)


async def test_a_task_of_another_version_is_still_shown_with_its_run(desk: Desk, world: World) -> None:
    await a_live_run(world)
    desk.kill(json.dumps({**a_task().model_dump(mode="json"), "schema_version": 2}).encode())
    [shown] = await desk.letters()
    assert shown["run"]["id"] == "run-1"
    assert "schema_version" in shown["error"]["message"]


async def test_every_queue_is_looked_at_page_by_page_without_a_gap(desk: Desk) -> None:
    for number in range(3):
        for queue in (QUEUE, "writer-tasks", names.START_QUEUE):
            desk.kill(b"%d" % number, queue)
    ids: list[str] = []
    query: dict[str, str] = {"limit": "2"}
    while True:
        _, page = await desk.page(**query)
        ids += [each["id"] for each in page["dead_letters"]]
        if page["continuation"] is None:
            break
        query["continuation"] = page["continuation"]
    assert ids == [*(f"{QUEUE}:{n}" for n in (1, 4, 7)), *(f"workflow-starts:{n}" for n in (3, 6, 9))] + [
        f"writer-tasks:{n}" for n in (2, 5, 8)
    ]


async def test_each_condition_finds_what_it_says(desk: Desk, world: World) -> None:
    old = desk.kill(a_task(), enqueue_at=after(-3600))
    new = desk.kill(a_task("writer", task_id="run-2"), "writer-tasks", enqueue_at=after(-10))
    for query, expected in (
        ({"agent": "writer"}, [new]),
        ({"queue": QUEUE}, [old]),
        ({"reason": "MaxDeliveryCountExceeded"}, [old, new]),
        ({"reason": "TTLExpiredException"}, []),
        ({"run": "run-2"}, [new]),
        ({"min_age": "60"}, [old]),
        ({"max_age": "60"}, [new]),
        ({"agent": "writer", "min_age": "60"}, []),
    ):
        assert [each["id"] for each in await desk.letters(**query)] == [dead.id for dead in expected], query


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"min_age": "-1"}, "min_age"),
        ({"min_age": "old"}, "min_age"),
        ({"run": "a b"}, "run"),
        ({"agent": "Not An Agent"}, "agent"),
        ({"queue": "ghost-tasks"}, "queue"),
        ({"continuation": "ghost-tasks:1"}, "continuation"),
        ({"continuation": "x"}, "continuation"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_a_condition_that_is_none_is_refused_by_its_field(desk: Desk, query: dict[str, str], field: str) -> None:
    status, problem = await desk.page(**query)
    assert (status, problem["field"]) == (400, field)


# -- replaying --------------------------------------------------------------------------------------------------


async def test_a_step_that_its_run_waits_for_is_sent_again_under_a_fresh_id_and_is_no_dead_letter_any_more(
    desk: Desk, world: World
) -> None:
    await a_live_run(world)
    dead = desk.kill(a_task())
    result = await desk.replayed(dead, by="Ann")
    assert (result["action"], result["run"]) == ("sent", "run-1")
    [copy] = world.bus.taken(QUEUE)
    assert AgentTask.model_validate_json(copy.body) == a_task()
    assert copy.message_id != dead.message_id
    assert (copy.properties[names.REPLAY_OF], copy.properties[names.REPLAYED_BY]) == (dead.id, "Ann")
    assert await desk.letters() == []


async def test_a_dry_run_says_what_it_would_do_and_does_nothing(desk: Desk, world: World) -> None:
    await a_live_run(world)
    dead = desk.kill(a_task())
    assert (await desk.replayed(dead, dry_run=True))["action"] == "sent"
    assert world.bus.taken(QUEUE) == []
    assert [each["id"] for each in await desk.letters()] == [dead.id]


async def test_replaying_a_step_that_has_since_succeeded_does_nothing_and_says_so(desk: Desk, world: World) -> None:
    await a_live_run(world)
    await world.store.claim_step(a_claim())
    await world.store.record_step("run-1", "research", owner="first", result=a_result(), now=after(5))
    result = await desk.replayed(desk.kill(a_task()))
    assert (result["action"], result["detail"]) == ("nothing", "its step has succeeded since")
    assert world.bus.taken(QUEUE) == []


async def test_a_step_whose_run_has_ended_says_so_and_starts_a_new_run_from_that_step_on_request(
    desk: Desk, world: World
) -> None:
    request = {"pattern": "sequential", "request": {"topic": "tides"}, "agents": ["research", "writer"]}
    await a_live_run(world, request=request)
    await world.store.claim_step(a_claim())
    await world.store.record_step("run-1", "research", owner="first", result=a_result("facts"), now=after(2))
    await world.store.claim_step(a_claim("writer"))
    await world.store.record_step("run-1", "writer", owner="first", result=a_failure(), now=after(5))
    await world.store.advance_run(
        "run-1", RunStatus.FAILED, now=after(6), result=a_run_result(RunStatus.FAILED, result=None)
    )
    dead = desk.kill(a_task("writer"), "writer-tasks")
    refused = await desk.replayed(dead)
    assert (refused["action"], "restart" in refused["detail"]) == ("refused", True)

    begun = await desk.replayed(dead, restart=True)
    assert begun["action"] == "restarted"
    [(orchestrator, instance_id, given)] = desk.hub.scheduled
    assert (orchestrator, instance_id) == ("sequential", begun["run"])
    assert given["resume_from"] == {"run": "run-1", "step": "writer"}
    assert (await world.record(begun["run"])).run.status is RunStatus.PENDING
    assert await desk.letters() == []


async def test_a_restart_that_is_asked_for_twice_begins_one_run(desk: Desk, world: World) -> None:
    request = {"pattern": "sequential", "request": {"topic": "tides"}, "agents": ["research", "writer"]}
    await a_live_run(world, request=request)
    await world.store.advance_run(
        "run-1", RunStatus.FAILED, now=after(6), result=a_run_result(RunStatus.FAILED, result=None)
    )
    dead = desk.kill(a_task())
    first = await desk.replayed(dead, restart=True)
    world.bus._dead[QUEUE][dead.sequence_number] = dead
    assert (await desk.replayed(dead, restart=True))["run"] == first["run"]
    assert len(desk.hub.scheduled) == 1


async def test_a_pattern_that_cannot_begin_in_the_middle_says_so(desk: Desk, world: World) -> None:
    await a_live_run(world, type="parallel")
    await world.store.advance_run("run-1", RunStatus.CANCELLED, now=after(6))
    dead = desk.kill(a_task())
    result = await desk.replayed(dead, restart=True)
    assert (result["action"], "no parallel run can begin at one of its steps" in result["detail"]) == ("refused", True)
    assert [each["id"] for each in await desk.letters()] == [dead.id]


async def test_a_step_that_its_run_has_given_up_is_not_run_for_nobody(desk: Desk, world: World) -> None:
    await a_live_run(world)
    await fail_step(world)
    result = await desk.replayed(desk.kill(a_task()))
    assert (result["action"], "its run goes on without it" in result["detail"]) == ("refused", True)


async def test_a_step_whose_deadline_has_passed_is_not_sent_to_time_out_once_more(desk: Desk, world: World) -> None:
    await a_live_run(world)
    result = await desk.replayed(desk.kill(a_task(deadline=after(-1))))
    assert (result["action"], "deadline" in result["detail"]) == ("refused", True)


async def test_a_step_of_a_run_that_is_not_known_is_refused(desk: Desk) -> None:
    assert (await desk.replayed(desk.kill(a_task())))["action"] == "refused"


async def test_a_failed_step_of_a_producer_is_run_again_as_a_run_of_its_own(desk: Desk, world: World) -> None:
    await world.store.create_run(a_run(type="agent", steps=("research",)))
    await fail_step(world)
    await world.store.advance_run(
        "run-1", RunStatus.FAILED, now=after(6), result=a_run_result(RunStatus.FAILED, result=None)
    )
    result = await desk.replayed(desk.kill(a_task(reply_to=None)), restart=True)
    assert result["action"] == "restarted"
    [copy] = world.bus.taken(QUEUE)
    assert AgentTask.model_validate_json(copy.body).task_id == result["run"] != "run-1"


async def test_a_malformed_message_is_replayed_once_its_body_is_mended(
    desk: Desk, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    dead = desk.kill(b'{"task_id": "night-1", "agent": "research"}')
    refused = await desk.replayed(dead)
    assert (refused["action"], "mended" in refused["detail"]) == ("refused", True)
    mended = a_task(task_id="night-1", reply_to=None).model_dump(mode="json")
    result = await desk.replayed(dead, body=mended, by="Ann")
    assert (result["action"], result["run"]) == ("sent", "night-1")
    [copy] = world.bus.taken(QUEUE)
    assert AgentTask.model_validate_json(copy.body).task_id == "night-1"
    assert len(copy.properties[names.REPLAYED_SHA256]) == 64
    assert copy.properties[names.REPLAYED_SHA256] in caplog.text
    assert "Ann" in caplog.text


@pytest.mark.parametrize("body", [{}, 7, "text", [], {"task_id": "t"}, a_task("writer").model_dump(mode="json")])
async def test_an_edited_body_that_is_no_task_for_this_agent_is_refused_and_nothing_is_touched(
    desk: Desk, body: Any
) -> None:
    dead = desk.kill(b"{}")
    status, problem = await desk.replay({"ids": [dead.id], "body": body, "by": "Ann"})
    assert (status, problem["field"]) == (400, "body")
    assert [each["id"] for each in await desk.letters()] == [dead.id]


async def test_those_that_a_filter_finds_are_replayed_page_by_page(desk: Desk, world: World) -> None:
    for number in range(3):
        desk.kill(a_task(task_id=f"night-{number}", reply_to=None))
    desk.kill(a_task("writer", reply_to=None), "writer-tasks")
    _, first = await desk.replay({"filter": {"agent": "research"}, "limit": 2, "rate": 100, "dry_run": True})
    _, second = await desk.replay(
        {"filter": {"agent": "research"}, "dry_run": True, "continuation": first["continuation"]}
    )
    runs = [each["run"] for each in first["results"] + second["results"]]
    assert (runs, second["continuation"]) == (["night-0", "night-1", "night-2"], None)


async def test_messages_go_at_the_rate_that_was_asked_for(desk: Desk, world: World) -> None:
    letters = [desk.kill(a_task(task_id=f"night-{number}", reply_to=None)) for number in range(3)]
    replayer = Replayer(places_of(CARDS), CARDS, None, world.resources)  # type: ignore[arg-type]

    going = asyncio.ensure_future(
        replayer.replay([(QUEUE, each.sequence_number) for each in letters], Replay(rate=0.5, by="Ann"))
    )
    for expected in (1, 2, 3):
        while len(world.bus._queues[QUEUE]) < expected:
            await asyncio.sleep(0)
        for _ in range(50):
            await asyncio.sleep(0)
        assert len(world.bus._queues[QUEUE]) == expected
        world.clock.advance(timedelta(seconds=2))
    assert [each.action for each in await going] == ["sent"] * 3


async def test_a_copy_that_cannot_be_sent_leaves_the_dead_letter_where_it_is(desk: Desk, world: World) -> None:
    dead = desk.kill(a_task(reply_to=None))

    class Down:
        peek_dead, take_dead = world.bus.peek_dead, world.bus.take_dead

        async def send(self, *_: Any) -> None:
            raise BusUnavailable("down")

    replayer = Replayer(places_of(CARDS), CARDS, None, world.but(bus=Down()))  # type: ignore[arg-type]
    with pytest.raises(BusUnavailable):
        await replayer.replay([(QUEUE, dead.sequence_number)], Replay(rate=1, by="Ann"))
    assert [each["id"] for each in await desk.letters()] == [dead.id]


async def test_a_crash_between_the_copy_and_the_removal_loses_nothing(desk: Desk, world: World) -> None:
    dead = desk.kill(a_task(reply_to=None))

    class Dying:
        peek_dead, send = world.bus.peek_dead, world.bus.send

        async def take_dead(self, _: str, __: Any, handle: Any) -> frozenset[int]:
            assert await handle(dead) is True
            raise BusUnavailable("the process ends here, before the dead letter is removed")

    replayer = Replayer(places_of(CARDS), CARDS, None, world.but(bus=Dying()))  # type: ignore[arg-type]
    with pytest.raises(BusUnavailable):
        await replayer.replay([(QUEUE, dead.sequence_number)], Replay(rate=1, by="Ann"))
    assert [each["id"] for each in await desk.letters()] == [dead.id]
    world.clock.advance(timedelta(seconds=1))
    assert (await desk.replayed(dead))["action"] == "sent"
    copies = world.bus.taken(QUEUE)
    assert len({copy.message_id for copy in copies}) == 2
    assert {copy.body for copy in copies} == {dead.body}, "one step, which is claimed once"


async def test_a_start_that_began_its_run_after_all_is_not_started_again(desk: Desk, world: World) -> None:
    request = {"pattern": "sequential", "request": {"topic": "tides"}, "agents": ["research"]}
    dead = desk.kill(json.dumps(request).encode(), names.START_QUEUE)
    assert (await desk.replayed(dead, dry_run=True))["action"] == "sent"
    [shown] = await desk.letters()
    run = (await desk.replayed(dead, dry_run=True))["run"]
    await world.store.create_run(RunDocument.model_validate(a_run(run).model_dump()))
    assert (await desk.replayed(dead))["action"] == "nothing"
    assert shown["run"] is None


async def test_the_copy_of_a_start_begins_the_run_that_its_original_would_have_begun(desk: Desk, world: World) -> None:
    request = {"pattern": "sequential", "request": {"topic": "tides"}, "agents": ["research"]}
    await desk.replayed(desk.kill(json.dumps(request).encode(), names.START_QUEUE, message_id="from-producer"))
    [copy] = world.bus.taken(names.START_QUEUE)
    assert json.loads(copy.body)["idempotency_key"] == "from-producer"


async def test_what_is_not_there_is_said_to_be_gone(desk: Desk) -> None:
    _, answer = await desk.replay({"ids": [f"{QUEUE}:77", f"{QUEUE}:77"]})
    assert [(each["id"], each["action"]) for each in answer["results"]] == [(f"{QUEUE}:77", "gone")]


GOOD = {"ids": [f"{QUEUE}:1"]}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "ids"),
        ({"ids": []}, "ids"),
        ({"ids": [f"{QUEUE}:1"], "filter": {}}, "ids"),
        ({"ids": ["ghost-tasks:1"]}, "ids"),
        ({"ids": [QUEUE]}, "ids"),
        ({"ids": [f"{QUEUE}:-1"]}, "ids"),
        ({"ids": [f"{QUEUE}:{'9' * 30}"]}, "ids"),
        ({"ids": [f"{QUEUE}:{number}" for number in range(101)]}, "ids"),
        ({**GOOD, "rate": 0}, "rate"),
        ({**GOOD, "rate": -1}, "rate"),
        ({**GOOD, "rate": 101}, "rate"),
        ({**GOOD, "rate": "fast"}, "rate"),
        ({"ids": [f"{QUEUE}:{number}" for number in range(1, 4)], "rate": 0.01}, "rate"),
        ({**GOOD, "limit": 0}, "limit"),
        ({"filter": {"min_age": -1}}, "filter.min_age"),
        ({"filter": {"colour": "red"}}, "filter.colour"),
        ({"filter": {"queue": "ghost-tasks"}}, "queue"),
        ({"filter": {}, "body": {}, "by": "Ann"}, "body"),
        ({"ids": [f"{QUEUE}:1", f"{QUEUE}:2"], "body": {}, "by": "Ann"}, "body"),
        ({**GOOD, "body": {"task_id": "t"}}, "by"),
        ({**GOOD, "dry_run": "perhaps"}, "dry_run"),
    ],
)
async def test_a_request_that_is_none_is_refused_by_its_field(desk: Desk, body: Any, field: str) -> None:
    status, problem = await desk.replay(body)
    assert (status, problem.get("field")) == (400, field)


async def test_a_step_that_runs_now_is_sent_and_will_find_the_claim(desk: Desk, world: World) -> None:
    await a_live_run(world)
    await world.store.claim_step(a_claim())
    assert (await desk.replayed(desk.kill(a_task())))["action"] == "sent"
    assert (await world.step()).status is StepStatus.RUNNING
