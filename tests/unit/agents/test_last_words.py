"""Whoever waits for a task that its agent cannot read is told at once, and nobody else is."""

import json
from typing import Any

import pytest

from agents.last_words import tell_who_waits
from shared.contracts import AgentResult, ReplyTo
from shared.errors import TaskHubUnavailable
from shared.status import StepStatus
from tests.support.documents import a_task

TASK = a_task("tester").model_dump(mode="json")


class Replies:
    """What was said to orchestrations."""

    def __init__(self) -> None:
        self.said: list[tuple[ReplyTo, AgentResult]] = []

    async def __call__(self, to: ReplyTo, result: AgentResult) -> None:
        self.said.append((to, result))


def body(**changes: Any) -> bytes:
    return json.dumps({**TASK, **changes}).encode()


@pytest.mark.parametrize("changes", [{"schema_version": 2}, {"of_a_later_version": 1}, {"attempt": 0}])
async def test_the_orchestration_that_waits_is_told_that_its_step_failed(changes: dict[str, Any]) -> None:
    replies = Replies()
    await tell_who_waits("tester", body(**changes), replies)
    [(to, result)] = replies.said
    assert (to.instance_id, to.event, result.status) == ("run-1", "agent-reply-tester", StepStatus.FAILED)
    assert result.error is not None
    assert next(iter(changes)) in result.error.message


@pytest.mark.parametrize(
    "sent",
    [
        body(),
        b"not json",
        b"{}",
        body(reply_to=None, attempt=0),
        body(agent="writer"),
        body(reply_to={"instance_id": 5, "event": "x"}, attempt=0),
    ],
)
async def test_nobody_is_told_of_what_can_be_read_is_anothers_or_says_not_who_waits(sent: bytes) -> None:
    replies = Replies()
    await tell_who_waits("tester", sent, replies)
    assert replies.said == []


async def test_a_task_hub_that_does_not_answer_changes_nothing_for_the_message() -> None:
    told: list[ReplyTo] = []

    async def down(waiting: ReplyTo, _: AgentResult) -> None:
        told.append(waiting)
        raise TaskHubUnavailable("down")

    await tell_who_waits("tester", body(attempt=0), down)
    assert len(told) == 1
