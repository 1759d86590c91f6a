"""The functions made from the catalog: the activity's answer for each outcome, and the reply through the hub."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest

from agents.activities import activity_functions, run_activity
from agents.catalog import CATALOG
from agents.delivery import QueueConsumer
from agents.http_api import agent_routes
from agents.queues import queue_functions, reply_through
from agents.runner import AgentRunner
from shared import names
from shared.contracts import AgentResult, ReplyTo
from shared.errors import ModelRateLimited, ModelUnavailable, StoreUnavailable, TaskHubUnavailable
from shared.retry import RetryPolicy
from shared.state.decisions import ClaimRequest
from shared.status import RunStatus, StepStatus
from tests.support.app_world import FlakyStore, World, a_runner, an_agent
from tests.support.documents import NOW, a_result, a_run, a_run_result, a_task, after


@pytest.fixture(autouse=True)
async def _the_run(world: World) -> None:
    await world.store.create_run(a_run(steps=("tester",)))


async def called(world: World) -> AgentResult:
    return await run_activity(
        a_task("tester"), a_runner(an_agent(), world.resources), world.resources.circuits, owner="call", now=NOW
    )


# -- as an activity ---------------------------------------------------------------------------------------------


async def test_an_activity_answers_with_the_result(world: World) -> None:
    result = await called(world)
    assert (result.status, result.output) == (StepStatus.SUCCEEDED, "An answer.")


async def test_an_activity_that_may_be_tried_again_says_when(world: World) -> None:
    world.replies[:] = [ModelRateLimited("slow down", retry_after=timedelta(seconds=40))]
    result = await called(world)
    assert result.retry_after_seconds == 40


async def test_an_activity_whose_agent_has_no_attempt_left_does_not_ask_for_another(world: World) -> None:
    world.replies[:] = [ModelUnavailable("no answer")]
    agent = a_runner(an_agent(retry=RetryPolicy(delays=(timedelta(seconds=3),))), world.resources)
    results = [
        await run_activity(a_task("tester"), agent, world.resources.circuits, owner=owner, now=NOW)
        for owner in ("first", "second")
    ]
    assert [result.retry_after_seconds for result in results] == [3, None]


async def test_an_activity_whose_store_is_away_asks_again_later_and_uses_no_attempt(world: World) -> None:
    store = FlakyStore(world.store, {"claim_step": [StoreUnavailable("down")] * 2})
    agent = a_runner(an_agent(), world.but(store=store))
    for postponed, wait in ((0, 5), (1, 10)):
        given = a_task("tester", postponed=postponed)
        result = await run_activity(given, agent, world.resources.circuits, owner="call", now=NOW)
        assert (result.retry_after_seconds, result.error and result.error.type) == (wait, "StoreUnavailable")
    result = await run_activity(a_task("tester"), agent, world.resources.circuits, owner="call", now=NOW)
    assert (result.status, result.attempt) == (StepStatus.SUCCEEDED, 1)


async def test_an_activity_that_may_be_tried_again_says_so_in_its_error(world: World) -> None:
    world.replies[:] = [ModelUnavailable("no answer")]
    result = await called(world)
    assert result.error is not None
    assert (result.status, result.error.type, result.error.retryable) == (StepStatus.FAILED, "ModelUnavailable", True)


async def test_an_activity_whose_step_another_holds_may_be_tried_again(world: World) -> None:
    claim = ClaimRequest("run-1", "tester", "tester", 1, "another", NOW, NOW, after(60))
    await world.store.claim_step(claim)
    result = await called(world)
    assert result.error is not None
    assert (result.status, result.error.type, result.error.retryable) == (StepStatus.FAILED, "Held", True)
    assert result.retry_after_seconds == 60


async def test_an_activity_that_nobody_wants_is_skipped(world: World) -> None:
    await world.store.advance_run("run-1", RunStatus.CANCELLED, now=NOW, result=a_run_result(RunStatus.CANCELLED))
    result = await called(world)
    assert result.error is not None
    assert (result.status, result.error.type) == (StepStatus.SKIPPED, "Unwanted")
    assert world.model.requests == []


# -- the reply --------------------------------------------------------------------------------------------------


class FakeClient:
    """A durable client that notes the events it is asked to raise, or fails."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.raised: list[tuple[str, str, Any]] = []
        self._failure = failure

    async def raise_orchestration_event(self, instance_id: str, event_name: str, *, data: Any = None) -> None:
        if self._failure:
            raise self._failure
        self.raised.append((instance_id, event_name, data))


def rpc_error(code: grpc.StatusCode) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details="why")


TO = ReplyTo(instance_id="run-1", event="agent-reply-tester")


async def test_a_reply_is_the_event_that_the_orchestration_waits_for() -> None:
    client: Any = FakeClient()
    await reply_through(client)(TO, a_result())
    [(instance, event, data)] = client.raised
    assert (instance, event) == ("run-1", "agent-reply-tester")
    assert AgentResult.model_validate(data) == a_result()


async def test_an_orchestration_that_is_gone_waits_for_nothing_so_that_telling_it_is_done() -> None:
    client: Any = FakeClient(rpc_error(grpc.StatusCode.NOT_FOUND))
    await reply_through(client)(TO, a_result())


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.INTERNAL]
)
async def test_a_task_hub_that_does_not_take_a_reply_is_to_be_tried_again(code: grpc.StatusCode) -> None:
    client: Any = FakeClient(rpc_error(code))
    with pytest.raises(TaskHubUnavailable, match="why"):
        await reply_through(client)(TO, a_result())


# -- what is registered -----------------------------------------------------------------------------------------


def registered(blueprint: Any) -> dict[str, list[dict[str, Any]]]:
    """The functions of a blueprint with their bindings."""
    functions = [builder.build() for builder in blueprint._function_builders]
    return {
        name: [binding.get_dict_repr() for binding in function.get_bindings()]
        for function in functions
        # The SDK adds functions of its own to every blueprint.
        if not (name := function.get_function_name()).startswith("BuiltIn__")
    }


def test_each_agent_on_the_bus_has_a_function_on_its_own_queue(world: World) -> None:
    runner = AgentRunner(CATALOG, world.resources)
    functions = registered(queue_functions(CATALOG, QueueConsumer(runner, world.resources)))
    assert set(functions) == {names.agent_function(spec.name) for spec in CATALOG}
    trigger = next(b for b in functions["writer_queue"] if b["type"] == "serviceBusTrigger")
    assert (trigger["queueName"], trigger["connection"]) == ("writer-tasks", "ServiceBusConnection")


def test_each_agent_is_an_activity_too(world: World) -> None:
    runner = AgentRunner(CATALOG, world.resources)
    functions = registered(activity_functions(CATALOG, runner, world.resources.circuits, world.clock))
    assert set(functions) == {names.agent_activity(spec.name) for spec in CATALOG}


def user_function(blueprint: Any, name: str) -> Callable[..., Any]:
    """The function as it was written, below the decorators' wrappers."""
    for builder in blueprint._function_builders:
        function = builder.build()
        if function.get_function_name() == name:
            user: Callable[..., Any] = function.get_user_function()
            return user
    raise AssertionError(name)


async def test_the_catalog_is_answered_as_cards() -> None:
    listed = user_function(agent_routes(CATALOG), "list_agents")
    response = await listed(req=None)
    assert response.status_code == 200
    assert b'"research"' in response.get_body()


class FakeMessage:
    """What the binding hands to a queue's function."""

    delivery_count = 1

    def __init__(self, body: bytes, enqueued_time_utc: datetime | None) -> None:
        self.enqueued_time_utc = enqueued_time_utc
        self.delivery_count = 1
        self.application_properties: dict[str, object] = {}
        self._body = body

    def get_body(self) -> bytes:
        return self._body


class FakeContext:
    """An invocation's context."""

    invocation_id = "invocation-1"


@pytest.mark.parametrize(
    ("enqueued", "recorded"),
    [
        (datetime(2026, 1, 1, 11, 59, tzinfo=UTC), after(-60)),
        (datetime(2026, 1, 1, 11, 59, tzinfo=UTC).replace(tzinfo=None), after(-60)),
        (None, NOW),
    ],
)
async def test_the_instant_of_a_message_is_utc_however_the_binding_gives_it(
    world: World, enqueued: datetime | None, recorded: datetime
) -> None:
    runner = AgentRunner(CATALOG, world.resources)
    await world.store.create_run(a_run("run-2"))
    function = user_function(queue_functions(CATALOG, QueueConsumer(runner, world.resources)), "research_queue")
    task = a_task("research", task_id="run-2")
    client = FakeClient()
    await _call(function, FakeMessage(task.model_dump_json().encode(), enqueued), client)
    step = await world.step("run-2")
    assert (step.enqueued_at, step.owner) == (recorded, "invocation-1")
    assert step.lease_until > NOW + timedelta(seconds=1)
    assert len(client.raised) == 1


async def _call(function: Callable[..., Any], message: FakeMessage, client: FakeClient) -> None:
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    await function(message=message, client=client, context=FakeContext())
