"""Durable names: these very strings are in queues, histories and documents that outlive a deployment."""

import pytest

from shared import names


def test_durable_names_are_what_they_have_always_been() -> None:
    """A name that changes strands what was written under the old one."""
    assert names.agent_queue("fact-checker") == "fact-checker-tasks"
    assert names.agent_function("fact-checker") == "fact_checker_queue"
    assert names.agent_activity("fact-checker") == "fact_checker_activity"
    assert names.reply_event("step-1") == "agent-reply-step-1"
    assert names.message_id("run", "step", 2) == "run:step:2"
    assert names.SERVICE_BUS_CONNECTION == "ServiceBusConnection"
    assert names.START_QUEUE == "workflow-starts"
    assert (names.CONTENT_PIPELINE, names.PARALLEL_RESEARCH) == ("content", "research")
    assert [names.orchestrator(pattern) for pattern in ("sequential", "review-loop")] == ["sequential", "review_loop"]
    assert names.nested_instance("run", "stage.vote") == "run:stage.vote"
    assert (names.ACTIVITY_BEGIN_RUN, names.ACTIVITY_CALL_OFF) == ("begin_run", "call_off")
    assert (names.ACTIVITY_DISPATCH_AGENTS, names.ACTIVITY_RECORD_RUN) == ("dispatch_agents", "record_run")


def test_the_instance_of_a_nested_pattern_is_never_longer_than_the_service_takes() -> None:
    one, other = names.nested_instance("r" * 100, "a"), names.nested_instance("r" * 100, "b")
    assert max(len(one), len(other)) <= names.MAX_INSTANCE_ID
    assert one != other


def test_a_copy_has_another_id_than_its_original_and_than_a_copy_that_another_delivery_made() -> None:
    ids = {names.copy_message_id("run:step:1", f"delivery-{n}") for n in range(10)}
    assert len(ids | {"run:step:1"}) == 11


@pytest.mark.parametrize("length", [1, 100, 117, 118, 128])
def test_a_copys_id_is_never_longer_than_the_service_takes(length: int) -> None:
    one, other = "a" * length, "b" * length
    assert len(names.copy_message_id(one, "delivery")) <= names.MAX_MESSAGE_ID
    assert names.copy_message_id(one, "delivery") != names.copy_message_id(other, "delivery")
