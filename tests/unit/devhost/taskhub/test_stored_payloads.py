"""A payload store of the app's own changes how a turn is run only where something of the turn is in the store."""

import json
from collections.abc import Iterator
from typing import Any

import azure.durable_functions as df
import pytest
from azure.durable_functions.internal import payloads
from durabletask import task
from durabletask.internal import helpers
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.payload import deexternalize_payloads
from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import StringValue

from devhost.taskhub.durable_executor import DurableExecutor
from devhost.taskhub.hub import Turn
from devhost.taskhub.stored_payloads import StoredPayloads, texts_of
from tests.support.payload_shelf import SHELF_THRESHOLD, PayloadShelf
from tests.support.sdk_app import SdkApp

pytestmark = [
    pytest.mark.filterwarnings("ignore:azure.functions df_loads was called:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:azure.functions Durable JSON codec:DeprecationWarning"),
]

KINDS = [field.name for field in pb.HistoryEvent.DESCRIPTOR.oneofs_by_name["eventType"].fields]
LONG = "x" * (SHELF_THRESHOLD + 1)
DEPTH = 4


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> PayloadShelf:
    shelf = PayloadShelf()
    monkeypatch.setattr(payloads, "_payload_store", shelf)
    return shelf


def filled(message: Message, texts: Iterator[str], depth: int = DEPTH) -> None:
    """Set every text that a message can hold, maps and lists included, each to the next of `texts`."""
    for field in message.DESCRIPTOR.fields:
        if field.message_type is None or depth == 0:
            continue
        if field.message_type.GetOptions().map_entry:
            held = field.message_type.fields_by_name["value"].message_type
            part = getattr(message, field.name)["key"] if held is not None else None
        elif field.is_repeated:
            part = getattr(message, field.name).add()
        else:
            part = getattr(message, field.name)
            part.SetInParent()
        if isinstance(part, StringValue):
            part.value = next(texts)
        elif part is not None:
            filled(part, texts, depth - 1)


@pytest.mark.parametrize("kind", KINDS)
def test_every_text_that_the_sdk_would_put_back_is_looked_at(kind: str) -> None:
    shelf, event, tokens = PayloadShelf(), pb.HistoryEvent(), [f"shelf:{number}" for number in range(500)]
    shelf.kept = [f"text {number}".encode() for number in range(len(tokens))]
    getattr(event, kind).SetInParent()
    filled(getattr(event, kind), iter(tokens))
    found = set(texts_of(event))
    deexternalize_payloads(event, shelf)
    assert {f"text {token.removeprefix('shelf:')}" for token in found} == set(texts_of(event))
    assert not any(shelf.is_known_token(text) for text in texts_of(event))


def turn(*new: pb.HistoryEvent, past: tuple[pb.HistoryEvent, ...] = (), execution: str = "e1") -> Turn:
    return Turn("abc", execution, past, [helpers.new_orchestrator_started_event(), *new])


def started(text: str = "1") -> pb.HistoryEvent:
    return helpers.new_execution_started_event("answers", "abc", text)


@pytest.mark.parametrize(
    ("event", "concerns"),
    [
        (started("shelf:0"), True),
        (started('"shelf:0"'), True),
        (started('["shelf:0"]'), False),
        (helpers.new_task_completed_event(1, '"shelf:0"'), True),
        (helpers.new_task_completed_event(1, "1"), False),
        (helpers.new_task_scheduled_event(1, "work", '"shelf:0"'), False),
        (helpers.new_event_raised_event("e", '"shelf:0"'), True),
        (helpers.new_event_sent_event(1, "@counter@k", "{}"), True),
    ],
)
def test_a_turn_concerns_the_store_when_something_that_it_reads_may_be_there(
    shelf: PayloadShelf, event: pb.HistoryEvent, *, concerns: bool
) -> None:
    assert StoredPayloads().concern(turn(event)) is concerns
    assert StoredPayloads().concern(turn(past=(event,))) is concerns


def test_without_a_store_nothing_concerns_it() -> None:
    assert not StoredPayloads().concern(turn(started("shelf:0")))


def test_what_was_looked_at_once_is_not_looked_at_again_until_it_is_forgotten(shelf: PayloadShelf) -> None:
    payloads, past = StoredPayloads(), (started(), helpers.new_task_completed_event(1, "1"))
    assert not payloads.concern(turn(past=past))
    # Nothing takes a token into the past; this shows what is looked at.
    rewritten = (started("shelf:0"), *past[1:])
    assert not payloads.concern(turn(past=rewritten))
    assert payloads.concern(turn(past=rewritten, execution="e2"))
    assert payloads.concern(turn(past=(*past, started("shelf:0"))))
    payloads.forget("abc", "e1")
    assert payloads.concern(turn(past=rewritten))


@pytest.fixture
def sdk() -> SdkApp:
    """An app whose orchestrator answers with a text as long as it was told, or with what it was given."""
    app = df.DFApp()

    @app.orchestration_trigger(context_name="ctx")
    def answers(ctx: task.OrchestrationContext, length: Any) -> Any:
        yield ctx.call_activity("work", input=length)
        return "x" * length if isinstance(length, int) else length

    return SdkApp(app)


def run_in(sdk: SdkApp) -> DurableExecutor:
    return DurableExecutor(sdk.functions, sdk, callable_of=sdk.callable_of)


def later(given: str) -> Turn:
    """The turn in which the activity has answered."""
    past = (
        helpers.new_orchestrator_started_event(),
        started(given),
        helpers.new_task_scheduled_event(1, "work", given),
    )
    return turn(helpers.new_task_completed_event(1, "1"), past=past)


def result_of(response: pb.OrchestratorResponse) -> str:
    [action] = response.actions
    text: str = action.completeOrchestration.result.value
    return text


async def test_a_turn_without_tokens_is_run_without_the_text_that_the_worker_would_give_it(
    sdk: SdkApp, shelf: PayloadShelf
) -> None:
    executor = run_in(sdk)
    await executor.orchestrator(turn(started("7")))
    assert result_of(await executor.orchestrator(later("7"))) == '"xxxxxxx"'
    assert (sdk.calls, shelf.kept) == ([], [])


async def test_a_long_text_that_an_orchestrator_asks_for_is_kept_in_the_store(sdk: SdkApp, shelf: PayloadShelf) -> None:
    response = await run_in(sdk).orchestrator(later(str(len(LONG))))
    assert (result_of(response), shelf.kept) == ('"shelf:0"', [json.dumps(LONG).encode()])
    assert sdk.calls == []


async def test_a_turn_with_a_token_is_run_with_the_text_put_back(sdk: SdkApp, shelf: PayloadShelf) -> None:
    shelf.kept = [json.dumps(LONG).encode()]
    assert result_of(await run_in(sdk).orchestrator(later('"shelf:0"'))) == '"shelf:1"'
    assert shelf.kept[1] == shelf.kept[0]
    assert [name for name, _ in sdk.calls] == ["answers"]


@pytest.mark.parametrize("given", [str(len(LONG)), '"shelf:0"'])
async def test_a_store_that_does_not_answer_fails_the_orchestration_either_way(
    sdk: SdkApp, shelf: PayloadShelf, given: str
) -> None:
    shelf.broken = True
    [action] = (await run_in(sdk).orchestrator(later(given))).actions
    assert action.completeOrchestration.orchestrationStatus == pb.ORCHESTRATION_STATUS_FAILED
    assert "the shelf has fallen down" in action.completeOrchestration.failureDetails.errorMessage


async def test_both_ways_ask_for_the_same(sdk: SdkApp, shelf: PayloadShelf) -> None:
    by_the_library = DurableExecutor(sdk.functions, sdk)
    for given in (turn(started("7")), later("7"), later(str(len(LONG)))):
        asked = []
        for executor in (by_the_library, run_in(sdk)):
            shelf.kept.clear()
            asked.append(list((await executor.orchestrator(given)).actions))
        assert asked[0] == asked[1]
