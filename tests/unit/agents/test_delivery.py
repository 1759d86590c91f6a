"""What a message on an agent's queue leads to: an answer, a copy for later, or the dead-letter queue; never a loop."""

import json
import logging
from datetime import datetime, timedelta
from typing import Any

import pytest

from agents.context import AgentContext
from agents.delivery import parse_task
from shared.contracts import AgentInput, AgentTask, ErrorInfo, Outcome
from shared.errors import (
    AgentFailed,
    InvalidMessage,
    ModelRateLimited,
    ModelRefused,
    ModelUnavailable,
    StoreUnavailable,
)
from shared.messaging.memory import MAX_MESSAGE_BYTES
from shared.names import MAX_MESSAGE_ID
from shared.state.decisions import ClaimRequest
from shared.status import RunStatus, StepStatus
from tests.support.app_world import USAGE, FlakyStore, World, an_agent
from tests.support.deliveries import Deliveries
from tests.support.documents import NOW, a_run, a_run_result, a_task, after

QUEUE = "tester-tasks"


@pytest.fixture
async def deliveries(world: World) -> Deliveries:
    """Deliveries of a run that is under way."""
    await world.store.create_run(a_run(steps=("tester",)))
    return Deliveries(world)


def task(**changes: Any) -> AgentTask:
    return a_task("tester", **changes)


def alone(**changes: Any) -> AgentTask:
    """A task whose sender wants no answer."""
    return task(task_id="alone", reply_to=None, **changes)


async def hold(world: World, until: datetime, task_id: str = "run-1", step_id: str = "tester") -> None:
    """Let another delivery hold the step."""
    claim = ClaimRequest(
        task_id=task_id,
        step_id=step_id,
        agent="tester",
        attempt=1,
        owner="another",
        enqueued_at=NOW,
        now=world.clock.now(),
        lease_until=until,
    )
    await world.store.claim_step(claim)


# -- messages that are no tasks ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "the body"),
        (b"not json", "the body"),
        (b"\xff\xfe", "the body"),
        (b"[]", "the body"),
        (b"null", "the body"),
        (b"{}", "task_id"),
        (json.dumps({**task().model_dump(mode="json"), "surprise": 1}).encode(), "surprise"),
        (json.dumps({**task().model_dump(mode="json"), "attempt": 0}).encode(), "attempt"),
        (json.dumps({**task().model_dump(mode="json"), "schema_version": 2}).encode(), "schema_version"),
    ],
)
async def test_a_malformed_message_names_what_is_wrong_and_nothing_is_run_or_said(
    deliveries: Deliveries, body: bytes, words: str
) -> None:
    with pytest.raises(InvalidMessage, match=f"a message to tester is no agent task: {words}"):
        await deliveries.deliver(body)
    assert deliveries.world.model.requests == []
    assert deliveries.replies == []
    assert deliveries.copies() == []
    assert (await deliveries.world.record()).steps == ()


async def test_a_task_for_another_agent_is_no_task_for_this_one(deliveries: Deliveries) -> None:
    with pytest.raises(InvalidMessage, match="task for writer"):
        await deliveries.deliver(a_task("writer"))


def test_what_was_sent_is_not_in_the_error() -> None:
    with pytest.raises(InvalidMessage) as refused:
        parse_task("tester", json.dumps({**task().model_dump(mode="json"), "step_id": "s3cr3t!"}).encode())
    assert "s3cr3t" not in str(refused.value)


# -- answers ----------------------------------------------------------------------------------------------------


async def test_an_answer_goes_to_the_orchestration_that_waits_under_the_event_it_named(deliveries: Deliveries) -> None:
    await deliveries.deliver(task())
    [(to, result)] = deliveries.replies
    assert (to.instance_id, to.event) == ("run-1", "agent-reply-tester")
    assert (result.status, result.output) == (StepStatus.SUCCEEDED, "An answer.")


async def test_a_message_delivered_twice_is_answered_twice_and_paid_for_once(deliveries: Deliveries) -> None:
    await deliveries.deliver(task())
    await deliveries.deliver(task())
    assert len(deliveries.replies) == 2
    assert deliveries.replies[0] == deliveries.replies[1]
    assert len(deliveries.world.model.requests) == 1


async def test_a_failure_for_good_is_answered_first_and_then_left_to_the_dead_letter_queue(
    deliveries: Deliveries,
) -> None:
    deliveries.world.replies[:] = [ModelRefused("I will not")]
    with pytest.raises(AgentFailed, match=r"step tester of run run-1 failed: ModelRefused$"):
        await deliveries.deliver(task())
    [(_, result)] = deliveries.replies
    assert result.status is StepStatus.FAILED
    assert result.error == ErrorInfo(type="ModelRefused", message="I will not")
    assert deliveries.copies() == []


async def test_a_failed_message_that_comes_again_fails_again_from_the_record(deliveries: Deliveries) -> None:
    """So its deliveries are used up and it ends with the dead letters, at no further cost."""
    deliveries.world.replies[:] = [ModelRefused("I will not")]
    for _ in range(3):
        with pytest.raises(AgentFailed):
            await deliveries.deliver(task())
    assert len(deliveries.world.model.requests) == 1


async def test_a_step_that_nobody_wants_is_completed_without_a_word(deliveries: Deliveries) -> None:
    await deliveries.world.store.advance_run(
        "run-1", RunStatus.CANCELLED, now=NOW, result=a_run_result(RunStatus.CANCELLED)
    )
    await deliveries.deliver(task())
    assert deliveries.replies == []
    assert deliveries.world.model.requests == []


async def test_a_message_without_a_time_counts_as_enqueued_now(deliveries: Deliveries) -> None:
    deliveries.world.clock.move_to(after(7))
    await deliveries.deliver(task(), enqueued_at=None)
    assert (await deliveries.world.step()).enqueued_at == after(7)


# -- copies for later -------------------------------------------------------------------------------------------


async def test_retryable_failures_schedule_copies_at_five_ten_and_fifteen_seconds_and_then_fail(
    deliveries: Deliveries,
) -> None:
    deliveries.world.replies[:] = [ModelUnavailable("no answer")]
    message: AgentTask = task()
    for attempt, wait in ((2, 5), (3, 10), (4, 15)):
        await deliveries.deliver(message)
        [copy] = deliveries.copies()
        assert copy.enqueue_at == deliveries.world.clock.now() + timedelta(seconds=wait)
        assert (copy.message_id, copy.correlation_id) == (f"run-1:tester:{attempt}", "run-1")
        message = AgentTask.model_validate_json(copy.body)
        assert message == task(attempt=attempt)
        assert deliveries.replies == []
        deliveries.world.clock.advance(timedelta(seconds=wait))
    with pytest.raises(AgentFailed, match="ModelUnavailable"):
        await deliveries.deliver(message)
    assert deliveries.copies() == []
    assert [result.attempt for _, result in deliveries.replies] == [4]


async def test_a_copy_keeps_everything_that_its_original_said(deliveries: Deliveries) -> None:
    deliveries.world.replies[:] = [ModelUnavailable("no answer")]
    original = task(
        deadline=after(3600), budget={"max_output_tokens": 9}, traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    )
    await deliveries.deliver(original)
    [copy] = deliveries.copies()
    assert AgentTask.model_validate_json(copy.body) == original.model_copy(update={"attempt": 2})
    assert copy.traceparent == original.traceparent


async def test_the_wait_that_a_model_asked_for_is_the_copys(deliveries: Deliveries) -> None:
    deliveries.world.replies[:] = [ModelRateLimited("slow down", retry_after=timedelta(seconds=33))]
    await deliveries.deliver(task())
    assert [copy.enqueue_at for copy in deliveries.copies()] == [after(33)]


async def test_an_original_that_comes_again_after_its_copy_was_sent_makes_no_more_attempts_than_there_are(
    deliveries: Deliveries,
) -> None:
    """Its completion was lost: both run, and together they are still bounded."""
    deliveries.world.replies[:] = [ModelUnavailable("no answer")]
    for _ in range(3):
        await deliveries.deliver(task())
        deliveries.world.clock.advance(timedelta(seconds=20))
    with pytest.raises(AgentFailed):
        await deliveries.deliver(task())
    assert len(deliveries.world.model.requests) == 4
    assert [copy.message_id for copy in deliveries.copies()] == [f"run-1:tester:{attempt}" for attempt in (2, 3, 4)]


async def test_a_step_that_another_holds_is_looked_at_again_once_its_lease_has_ended(deliveries: Deliveries) -> None:
    await hold(deliveries.world, after(60))
    await deliveries.deliver(task())
    [copy] = deliveries.copies()
    assert copy.enqueue_at is not None
    assert copy.enqueue_at > after(60), "a queue's clock may be ahead, and a copy that comes early finds the step held"
    assert AgentTask.model_validate_json(copy.body) == task()
    assert deliveries.replies == []


async def test_a_look_that_finds_the_step_held_again_is_followed_by_another(deliveries: Deliveries) -> None:
    """Were the copies to bear one id, duplicate detection would drop the second, and the step would never end."""
    for number in range(1, 4):
        await hold(deliveries.world, deliveries.world.clock.now() + timedelta(seconds=60))
        await deliveries.deliver(task())
        assert len(deliveries.copies()) == 1, f"look {number} left no copy"
        deliveries.world.clock.advance(timedelta(seconds=62))
    early = deliveries.world.clock.now()
    await hold(deliveries.world, early + timedelta(seconds=60))
    await deliveries.deliver(task())
    deliveries.world.clock.move_to(early + timedelta(seconds=59))
    await deliveries.deliver(task())
    assert len(deliveries.copies()) == 2, "a copy that came early left none behind it"


async def test_a_copy_that_comes_at_once_because_the_queues_clock_is_ahead_is_copied_again_and_not_lost(
    deliveries: Deliveries,
) -> None:
    """No time passes here between a copy and the copy of that; only what is really new is not dropped."""
    await hold(deliveries.world, after(60))
    body: bytes | AgentTask = task()
    for look in range(1, 5):
        await deliveries.deliver(body)
        copies = deliveries.copies()
        assert len(copies) == 1, f"look {look} left no copy"
        body = copies[0].body


async def test_a_copy_waits_by_the_queues_clock_too_so_that_a_late_clock_makes_no_loop(deliveries: Deliveries) -> None:
    await hold(deliveries.world, after(60))
    ahead = after(300)
    await deliveries.deliver(task(), enqueued_at=ahead)
    [copy] = deliveries.copies()
    assert copy.enqueue_at is not None
    assert copy.enqueue_at >= ahead + timedelta(seconds=5)


async def test_a_copy_of_the_longest_message_id_has_a_legal_one(deliveries: Deliveries) -> None:
    task_id, step_id = "r" * 100, "s" * (MAX_MESSAGE_ID - 103)
    await deliveries.world.store.create_run(a_run(task_id))
    await hold(deliveries.world, after(60), task_id, step_id)
    await deliveries.deliver(task(task_id=task_id, step_id=step_id))
    [copy] = deliveries.copies()
    assert len(copy.message_id) <= MAX_MESSAGE_ID


async def test_a_message_as_large_as_a_queue_takes_is_tried_again_too(deliveries: Deliveries) -> None:
    """Its copy says what the sender left out, and would be over the limit with the input inside."""
    deliveries.world.replies[:] = [ModelUnavailable("no answer"), "An answer."]
    given = {
        "task_id": "alone",
        "step_id": "tester",
        "agent": "tester",
        "input": {"request": "x" * (MAX_MESSAGE_BYTES - 100)},
    }
    body = json.dumps(given).encode()
    assert MAX_MESSAGE_BYTES - 50 < len(body) <= MAX_MESSAGE_BYTES
    await deliveries.deliver(body)
    [copy] = deliveries.copies()
    await deliveries.deliver(copy.body)
    record = await deliveries.world.record("alone")
    assert (record.run.status, record.run.result and record.run.result.result) == ("completed", "An answer.")
    assert deliveries.world.model.requests[0] == deliveries.world.model.requests[1]


# -- tasks whose sender wants no answer -------------------------------------------------------------------------


async def test_a_task_that_wants_no_answer_is_a_run_of_its_own_that_can_be_looked_up(world: World) -> None:
    deliveries = Deliveries(world)
    await deliveries.deliver(alone())
    run = (await world.record("alone")).run
    assert (run.type, run.workflow, run.status) == ("agent", "tester", RunStatus.COMPLETED)
    assert [(step.step_id, step.agent) for step in run.plan] == [("tester", "tester")]
    assert run.input == {"request": {"topic": "tides"}, "earlier": []}
    assert run.result is not None
    assert (run.result.status, run.result.result, run.result.usage) == (RunStatus.COMPLETED, "An answer.", USAGE)
    assert [(line.agent, line.outcome) for line in run.result.account] == [("tester", Outcome.ANSWERED)]
    assert deliveries.replies == []


async def test_a_task_that_wants_no_answer_and_comes_twice_is_run_once(world: World) -> None:
    deliveries = Deliveries(world)
    await deliveries.deliver(alone())
    await deliveries.deliver(alone())
    assert len(world.model.requests) == 1
    assert (await world.record("alone")).run.status is RunStatus.COMPLETED


async def test_a_task_that_wants_no_answer_and_fails_is_a_failed_run_and_a_dead_letter(world: World) -> None:
    world.replies[:] = [ModelRefused("I will not")]
    deliveries = Deliveries(world)
    for _ in range(3):
        with pytest.raises(AgentFailed):
            await deliveries.deliver(alone())
    result = (await world.record("alone")).run.result
    assert result is not None
    assert (result.status, result.error and result.error.type) == (RunStatus.FAILED, "ModelRefused")
    assert [(line.outcome, line.cause) for line in result.account] == [(Outcome.FAILED, "I will not")]


async def test_a_task_that_wants_no_answer_stays_a_running_run_between_its_attempts(world: World) -> None:
    world.replies[:] = [ModelUnavailable("no answer"), "An answer."]
    deliveries = Deliveries(world)
    await deliveries.deliver(alone())
    assert (await world.record("alone")).run.status is RunStatus.RUNNING
    [copy] = deliveries.copies()
    await deliveries.deliver(copy.body)
    assert (await world.record("alone")).run.status is RunStatus.COMPLETED


async def test_a_timed_out_task_that_wants_no_answer_is_said_to_have_timed_out(world: World) -> None:
    with pytest.raises(AgentFailed, match="timed_out"):
        await Deliveries(world).deliver(alone(deadline=after(-1)))
    result = (await world.record("alone")).run.result
    assert result is not None
    assert [line.outcome for line in result.account] == [Outcome.TIMED_OUT]


@pytest.mark.parametrize(
    "earlier",
    [
        a_run("alone", steps=("tester",)),
        a_run("alone", type="agent", steps=("other",)),
        a_run("alone", type="agent", steps=("tester", "writer")),
        a_run("alone", type="agent", plan=({"step_id": "tester", "name": "x", "agent": "writer"},)),
    ],
    ids=["orchestrated", "other step", "more steps", "other agent"],
)
async def test_a_task_that_wants_no_answer_cannot_slip_into_a_run_that_is_not_its_own(
    world: World, earlier: Any
) -> None:
    await world.store.create_run(earlier)
    with pytest.raises(InvalidMessage, match="run alone exists already"):
        await Deliveries(world).deliver(alone())
    assert world.model.requests == []
    assert (await world.record("alone")).run == earlier


async def test_a_store_that_does_not_answer_at_the_end_postpones_and_the_run_is_ended_from_the_record(
    world: World,
) -> None:
    store = FlakyStore(world.store, {"advance_run": [StoreUnavailable("down")]})
    deliveries = Deliveries(world, resources=world.but(store=store))
    await deliveries.deliver(alone())
    [copy] = deliveries.copies()
    assert (await world.record("alone")).run.status is RunStatus.RUNNING
    await deliveries.deliver(copy.body)
    assert (await world.record("alone")).run.status is RunStatus.COMPLETED
    assert len(world.model.requests) == 1


# -- the log ----------------------------------------------------------------------------------------------------


async def test_the_log_says_why_a_message_comes_back(deliveries: Deliveries, caplog: pytest.LogCaptureFixture) -> None:
    deliveries.world.replies[:] = [ModelUnavailable("no answer")]
    with caplog.at_level(logging.INFO):
        await deliveries.deliver(task())
    assert "tester of run run-1: ModelUnavailable: no answer; trying again in 0:00:05" in caplog.text


async def test_an_agent_that_fails_by_a_bug_leaves_its_trace_in_the_log(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    await world.store.create_run(a_run(steps=("tester",)))

    async def handler(context: AgentContext, given: AgentInput) -> None:
        raise KeyError("the culprit")

    with caplog.at_level(logging.ERROR), pytest.raises(AgentFailed):
        await Deliveries(world, an_agent(handler)).deliver(task())
    assert "the culprit" in caplog.text
    assert "Traceback" in caplog.text
