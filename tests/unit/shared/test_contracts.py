"""The contracts at the doors: what is refused, by which field, and that what is taken is what was sent."""

import json
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from shared.cards import AgentCard
from shared.contracts import (
    MAX_JSON_DEPTH,
    AgentInput,
    AgentResult,
    AgentTask,
    ArtifactRef,
    Contract,
    EarlierOutput,
    ErrorInfo,
    RunResult,
    Usage,
)
from shared.names import MAX_MESSAGE_ID
from shared.state.documents import RunDocument, StepDocument
from shared.status import RunStatus, StepStatus
from tests.support.documents import a_card, a_result, a_run, a_run_result, a_task

TASK: dict[str, Any] = {"task_id": "run-1", "step_id": "research", "agent": "research", "input": {"request": "tides"}}


def refused(contract: type[BaseModel], value: Any) -> str:
    """The first field that is to blame."""
    with pytest.raises(ValidationError) as error:
        contract.model_validate_json(json.dumps(value))
    return ".".join(str(part) for part in error.value.errors()[0]["loc"])


def nested(depth: int) -> Any:
    value: Any = "core"
    for number in range(depth - 1):
        value = [value] if number % 2 else {"in": value}
    return value


# -- AgentTask: a message anybody may send ----------------------------------------------------------------------


def test_a_task_needs_four_fields_and_has_sensible_others() -> None:
    task = AgentTask.model_validate(TASK)
    assert (task.schema_version, task.attempt, task.deadline, task.reply_to) == (1, 1, None, None)
    assert task.budget.max_output_tokens is None
    assert task.message_id == "run-1:research:1"


@pytest.mark.parametrize("field", ["task_id", "step_id", "agent", "input"])
def test_a_task_without_a_needed_field_names_it(field: str) -> None:
    assert refused(AgentTask, {name: value for name, value in TASK.items() if name != field}) == field


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schema_version", 0),
        ("schema_version", 2),
        ("task_id", ""),
        ("task_id", "x" * 101),
        ("task_id", "with space"),
        ("task_id", "tab\t"),
        ("task_id", "line\n"),
        ("task_id", "ünïcode"),
        ("task_id", "nul\x00"),
        ("task_id", None),
        ("task_id", 7),
        ("step_id", ""),
        ("step_id", ".hidden"),
        ("step_id", "a/b"),
        ("step_id", "a:b"),
        ("step_id", "x" * 65),
        ("step_id", "a\n"),
        ("agent", ""),
        ("agent", "Research"),
        ("agent", "re_search"),
        ("agent", "1st"),
        ("agent", "x" * 41),
        ("agent", "research\n"),
        ("attempt", 0),
        ("attempt", -1),
        ("attempt", 101),
        ("attempt", 1.5),
        ("attempt", "first"),
        ("deadline", "tomorrow"),
        ("deadline", "2026-01-01T12:00:00"),
        ("reply_to", {}),
        ("reply_to", {"instance_id": "x"}),
        ("reply_to", {"instance_id": "", "event": "e"}),
        ("reply_to", {"instance_id": "x", "event": ""}),
        ("reply_to", {"instance_id": "x", "event": "e" * 201}),
        ("reply_to", {"instance_id": "x", "event": "e", "more": 1}),
        ("budget", {"max_output_tokens": 0}),
        ("budget", {"max_cost": 1}),
        ("budget", None),
        ("traceparent", "x" * 101),
        ("traceparent", 5),
        ("input", None),
        ("input", "text"),
        ("input", {}),
        ("input", {"request": 1, "more": 2}),
        ("input", {"request": 1, "earlier": [{}]}),
        ("input", {"address": "sha256:00"}),
        ("more", 1),
        ("__class__", "x"),
    ],
)
def test_a_task_with_a_bad_field_names_it(field: str, value: Any) -> None:
    assert refused(AgentTask, {**TASK, field: value}).partition(".")[0] == field


@pytest.mark.parametrize("task_id", ["@reserved", "a/b", "a\\b", "a?b", "a#b", "a:b"])
def test_a_run_id_that_means_something_else_to_a_store_or_a_queue_is_refused(task_id: str) -> None:
    with pytest.raises(ValidationError, match="task_id must not"):
        AgentTask.model_validate({**TASK, "task_id": task_id})


@pytest.mark.parametrize("value", [None, [], "text", 5, True])
def test_what_is_no_object_is_no_task(value: Any) -> None:
    assert refused(AgentTask, value) == ""


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"null", b'{"task_id": "a"', b"[" * 100_000])
def test_what_is_no_json_is_no_task(body: bytes) -> None:
    with pytest.raises(ValidationError):
        AgentTask.model_validate_json(body)


def test_ids_may_together_be_as_long_as_a_message_id_and_no_longer() -> None:
    task_id, step_id = "r" * 100, "s" * (MAX_MESSAGE_ID - 100 - len("::1"))
    assert len(a_task(task_id=task_id, step_id=step_id).message_id) == MAX_MESSAGE_ID
    with pytest.raises(ValidationError, match="message id"):
        a_task(task_id=task_id, step_id=step_id + "s")


def test_each_attempt_of_a_step_has_a_message_id_of_its_own() -> None:
    assert len({a_task(attempt=attempt).message_id for attempt in range(1, 101)}) == 100


def test_a_task_comes_back_from_json_as_it_went() -> None:
    task = a_task(
        input=AgentInput(request="Grüße 🌊", earlier=(EarlierOutput(step_id="a", agent="a", output={"x": [1, None]}),)),
        deadline="2026-01-01T12:00:00.123456+02:00",
        budget={"max_output_tokens": 5},
        traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01",
    )
    assert AgentTask.model_validate_json(task.model_dump_json()) == task


@pytest.mark.parametrize("context", ["", "no context", "00-" + "A" * 32 + "-" + "b" * 16 + "-01", "x" * 100])
def test_a_malformed_trace_context_counts_as_none_and_costs_no_work(context: str) -> None:
    assert a_task(traceparent=context).traceparent is None


def test_an_input_by_reference_is_told_from_one_in_full() -> None:
    reference = ArtifactRef(address="sha256:" + "0" * 64, size=5, content_type="application/json")
    task = AgentTask.model_validate({**TASK, "input": reference.model_dump()})
    assert task.input == reference
    assert isinstance(AgentTask.model_validate(TASK).input, AgentInput)


# -- JSON from outside ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", [None, True, 0, -1.5, 2**70, "", "a\x00b", [], {}, {"a": [{"b": None}]}, nested(MAX_JSON_DEPTH)]
)
def test_json_of_every_kind_is_taken_and_comes_back(value: Any) -> None:
    given = AgentInput.model_validate_json(json.dumps({"request": value}))
    assert given.request == value
    assert AgentInput.model_validate_json(given.model_dump_json()) == given


@pytest.mark.parametrize("depth", [MAX_JSON_DEPTH + 1, 150, 200])
def test_values_deeper_in_one_another_than_can_be_stored_are_refused(depth: int) -> None:
    """At 200 a parser stops: what is stored inside a document would never be read again."""
    assert refused(AgentInput, {"request": nested(depth)}) in ("request", "")
    with pytest.raises(ValidationError):
        AgentResult.model_validate({"status": "succeeded", "output": nested(depth)})


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999", "[1, NaN]", '{"a": {"b": -1e999}}'])
def test_numbers_that_json_does_not_have_are_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="no JSON"):
        AgentInput.model_validate_json(f'{{"request": {text}}}')


def test_the_deepest_value_taken_can_be_stored_in_every_document_and_read_again() -> None:
    value = nested(MAX_JSON_DEPTH)
    run = a_run(input={"request": value, "earlier": []} and value)
    assert RunDocument.model_validate_json(run.model_dump_json()) == run
    task = a_task(input=AgentInput(request=value, earlier=(EarlierOutput(step_id="a", agent="a", output=value),)))
    assert AgentTask.model_validate_json(task.model_dump_json()) == task
    result = a_result(value)
    assert AgentResult.model_validate_json(result.model_dump_json()) == result


# -- every contract ---------------------------------------------------------------------------------------------

VALUES: list[Contract] = [
    a_task(),
    a_result(),
    a_run_result(),
    a_card(),
    a_run(),
    Usage(),
    AgentInput(request=1),
    ErrorInfo(type="T", message="m"),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_does_not_change(value: Contract) -> None:
    name = next(iter(type(value).model_fields))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(value, name, None)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_field_that_a_contract_does_not_know_is_refused_by_name(value: Contract) -> None:
    assert refused(type(value), {**value.model_dump(mode="json"), "surprise": 1}) == "surprise"


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_comes_back_from_json_as_it_went(value: Contract) -> None:
    assert type(value).model_validate_json(value.model_dump_json()) == value


# -- results ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [StepStatus.PENDING, StepStatus.RUNNING, StepStatus.WAITING, "partial", "done", ""])
def test_a_step_that_is_not_over_has_no_result(status: str) -> None:
    assert refused(AgentResult, {"status": status}) == "status"


@pytest.mark.parametrize("status", [RunStatus.PENDING, RunStatus.RUNNING, "succeeded", ""])
def test_a_run_that_is_not_over_has_no_result(status: str) -> None:
    assert refused(RunResult, {"status": status}) == "status"


def test_instants_without_a_zone_are_refused_wherever_they_are_stored() -> None:
    naive = "2026-01-01T12:00:00"
    assert refused(RunDocument, {**a_run().model_dump(mode="json"), "created_at": naive}) == "created_at"
    step = {
        "task_id": "r",
        "step_id": "s",
        "agent": "a",
        "status": "running",
        "attempt": 1,
        "owner": "o",
        "lease_until": naive,
        "enqueued_at": naive,
        "started_at": naive,
    }
    assert refused(StepDocument, step) == "lease_until"


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", "Bad Name"), ("timeout_seconds", 0), ("step_timeout_seconds", -1), ("transport", "pigeon")],
)
def test_a_card_with_a_bad_field_names_it(field: str, value: Any) -> None:
    assert refused(AgentCard, {**a_card().model_dump(mode="json"), field: value}) == field


# -- usage ------------------------------------------------------------------------------------------------------


def used(model: str | None, tokens: int = 10, cost: float | None = 0.1) -> Usage:
    return Usage(input_tokens=tokens, output_tokens=tokens, cost_usd=cost, model=model)


def test_usage_adds_up() -> None:
    assert used("m", 10, 0.1).plus(used("m", 5, 0.2)) == used("m", 15, 0.3)


def test_nothing_used_changes_nothing() -> None:
    assert Usage().plus(used("m")) == used("m").plus(Usage()) == used("m")


def test_an_unknown_cost_makes_the_sum_unknown_and_stays_so() -> None:
    total = used("m", 1, None).plus(used("m")).plus(used("m"))
    assert total.cost_usd is None
    assert total.input_tokens == 21


def test_two_models_leave_the_model_unnamed_and_a_third_does_not_name_it_again() -> None:
    assert used("a").plus(used("b")).model is None
    assert used("a").plus(used("b")).plus(used("a")).model is None
    assert used("a").plus(used("a")).model == "a"


def test_a_sum_of_many_small_costs_shows_no_rounding() -> None:
    total = Usage()
    for _ in range(10):
        total = total.plus(used("m", 1, 0.1))
    assert total.cost_usd == 1.0


@pytest.mark.parametrize("field", ["input_tokens", "output_tokens"])
def test_tokens_are_never_negative(field: str) -> None:
    assert refused(Usage, {field: -1}) == field
