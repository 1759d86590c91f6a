"""Dead letters are thrown away only by somebody who says who it is, and it is said and logged what is given up."""

import hashlib
import logging
from typing import Any

import pytest

from shared.status import RunStatus
from tests.support.app_world import World
from tests.support.dead_letter_desk import QUEUE, Desk
from tests.support.documents import a_claim, a_result, a_run, a_task, after


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world)


async def discarded(desk: Desk, **body: Any) -> list[dict[str, Any]]:
    status, answer = await desk.discard(body)
    assert status == 200, answer
    results: list[dict[str, Any]] = answer["results"]
    return results


async def test_a_dead_letter_that_is_thrown_away_is_gone_and_the_log_says_who_did_it_and_what_it_was(
    desk: Desk, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "muster.dead_letters")
    await world.store.create_run(a_run())
    await world.store.advance_run("run-1", RunStatus.RUNNING, now=after(1))
    dead, other = desk.kill(a_task()), desk.kill(a_task("writer"), "writer-tasks")
    [result] = await discarded(desk, ids=[dead.id], by="Ann")
    assert result == {
        "id": dead.id,
        "action": "discarded",
        "detail": "replayed, it would have been sent: its run waits for it",
        "run": "run-1",
    }
    assert [letter["id"] for letter in await desk.letters()] == [other.id]
    [line] = [record.getMessage() for record in caplog.records]
    digest = hashlib.sha256(dead.body).hexdigest()
    assert line.startswith(f"Ann throws {dead.id} away (run run-1, sha256 {digest})")
    assert not world.bus._queues[QUEUE], "and nothing is sent"


async def test_a_dry_run_says_what_would_be_given_up_and_throws_nothing_away(desk: Desk, world: World) -> None:
    await world.store.create_run(a_run())
    await world.store.claim_step(a_claim())
    await world.store.record_step("run-1", "research", owner="first", result=a_result(), now=after(5))
    dead = desk.kill(a_task())
    [result] = await discarded(desk, ids=[dead.id], dry_run=True)
    assert result["detail"] == "replayed, it would have been nothing: its step has succeeded since"
    assert [letter["id"] for letter in await desk.letters()] == [dead.id]


async def test_a_message_that_cannot_be_read_can_be_thrown_away(desk: Desk) -> None:
    dead = desk.kill(b"not json")
    [result] = await discarded(desk, ids=[dead.id], by="Ann")
    assert (result["action"], result["run"]) == ("discarded", None)
    assert await desk.letters() == []


async def test_those_that_a_filter_finds_are_thrown_away_page_by_page(desk: Desk) -> None:
    for number in range(5):
        desk.kill(a_task(step_id=f"s-{number}"))
    kept = desk.kill(a_task("writer"), "writer-tasks")
    seen, continuation = 0, None
    for _ in range(3):
        body = {"filter": {"agent": "research"}, "limit": 2, "by": "Ann", "continuation": continuation}
        _, answer = await desk.discard(body)
        seen, continuation = seen + len(answer["results"]), answer["continuation"]
    assert (seen, continuation) == (5, None)
    assert [letter["id"] for letter in await desk.letters()] == [kept.id]


@pytest.mark.parametrize("dry_run", [True, False])
async def test_what_is_not_there_is_said_to_be_gone(desk: Desk, dry_run: bool) -> None:
    desk.kill(a_task())
    [result] = await discarded(desk, ids=[f"{QUEUE}:99"], by="Ann", dry_run=dry_run)
    assert (result["action"], result["run"]) == ("gone", None)
    assert len(await desk.letters()) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"ids": [f"{QUEUE}:1"]}, "by"),
        ({"ids": [f"{QUEUE}:1"], "by": "  "}, "by"),
        ({"by": "Ann"}, "ids"),
        ({"ids": [f"{QUEUE}:1"], "filter": {}, "by": "Ann"}, "ids"),
        ({"ids": ["ghost-tasks:1"], "by": "Ann"}, "ids"),
        ({"ids": [f"{QUEUE}:{number}" for number in range(101)], "by": "Ann"}, "ids"),
        ({"filter": {"colour": "red"}, "by": "Ann"}, "filter.colour"),
        ({"filter": {}, "limit": 0, "by": "Ann"}, "limit"),
        ({"filter": {}, "continuation": "nonsense", "by": "Ann"}, "continuation"),
        ({"ids": [f"{QUEUE}:1"], "by": "Ann", "restart": True}, "restart"),
    ],
)
async def test_a_request_that_is_none_is_refused_by_its_field_and_nothing_is_thrown_away(
    desk: Desk, body: Any, field: str
) -> None:
    desk.kill(a_task())
    status, problem = await desk.discard(body)
    assert (status, problem.get("field")) == (400, field)
    assert len(await desk.letters()) == 1
