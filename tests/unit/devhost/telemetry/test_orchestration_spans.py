"""What a task hub emits for orchestrations: one connected trace, each span once, however often it is replayed."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, override

import azure.durable_functions as df
import pytest
from durabletask import task
from durabletask.client import OrchestrationStatus
from durabletask.entities import DurableEntity, EntityInstanceId

from devhost.clock import ManualClock
from devhost.telemetry.spans import Kind, NoSpans, OpenSpan
from devhost.telemetry.spans import Span as HostSpan
from devhost.telemetry.trace_context import TraceContext
from tests.support.durable_hub import DieAt, DurableHub, durable_hub
from tests.support.kept_spans import kept_spans
from tests.support.otlp_receiver import OtlpReceiver, Span
from tests.support.span_tree import broken, drawn, way

# The SDK advises once in a process; an app's own tests would see the same.
pytestmark = pytest.mark.filterwarnings("ignore:azure.functions df_loads was called:DeprecationWarning")

type Steps = Generator[task.Task[Any], Any, Any]


async def add_one(number: int) -> int:
    return number + 1


async def fail(secret: str) -> None:
    raise ValueError(f"no luck with {secret}")


def chain(ctx: task.OrchestrationContext, steps: int) -> Steps:
    number = 0
    for _ in range(steps):
        number = yield ctx.call_activity("add_one", input=number)
    return number


def fan(ctx: task.OrchestrationContext, width: int) -> Steps:
    results = yield task.when_all([ctx.call_activity("add_one", input=each) for each in range(width)])
    return sum(results)


def parent(ctx: task.OrchestrationContext, name: str) -> Steps:
    result = yield ctx.call_sub_orchestrator(name, input=2, instance_id=f"{ctx.instance_id}-child")
    return result


def failing(ctx: task.OrchestrationContext, _: Any) -> Steps:
    yield ctx.call_activity("fail", input="my secret")


def retrying(ctx: task.OrchestrationContext, _: Any) -> Steps:
    policy = task.RetryPolicy(first_retry_interval=timedelta(seconds=5), max_number_of_attempts=2)
    result = yield ctx.call_activity("fail_once", input=7, retry_policy=policy)
    return result


def rewindable(ctx: task.OrchestrationContext, _: Any) -> Steps:
    yield ctx.call_activity("add_one", input=1)
    result = yield ctx.call_activity("fail_once", input=7)
    return result


def lives(ctx: task.OrchestrationContext, left: int) -> Steps:
    yield ctx.call_activity("add_one", input=left)
    if left > 1:
        ctx.continue_as_new(left - 1)
    return left


def waiter(ctx: task.OrchestrationContext, _: Any) -> Steps:
    first = yield ctx.wait_for_external_event("go")
    return first


def telling(ctx: task.OrchestrationContext, _: Any) -> Steps:
    child: task.Task[Any] = ctx.call_sub_orchestrator("waiter", instance_id="listener")
    ctx.send_event("listener", "go", data=1)
    result = yield child
    return result


def leaving(ctx: task.OrchestrationContext, _: Any) -> Steps:
    yield ctx.call_activity("add_one", input=1)
    ctx.call_activity("add_one", input=2)
    return "gone"


class Number(DurableEntity):
    def add(self, amount: int) -> int:
        if amount < 0:
            raise ValueError(f"not {amount}")
        self.set_state(self.get_state(int, 0) + amount)
        return self.get_state(int, 0)


def counting(ctx: task.OrchestrationContext, _: Any) -> Steps:
    number = EntityInstanceId("number", "one")
    ctx.signal_entity(number, "add", 1)
    yield ctx.call_entity(number, "add", 2)
    try:
        yield ctx.call_entity(number, "add", -1)
    except task.TaskFailedError:
        return "no"


def calling_nobody(ctx: task.OrchestrationContext, _: Any) -> Steps:
    ctx.signal_entity(NoEntity("nobody", "x"), "add", 1)
    yield ctx.call_activity("add_one", input=1)


class NoEntity(EntityInstanceId):
    def __str__(self) -> str:
        return "no entity"


def make_app() -> df.DFApp:
    app = df.DFApp()
    app.entity_trigger(context_name="ctx", entity_name="number")(Number)
    app.activity_trigger(input_name="number")(add_one)
    app.activity_trigger(input_name="secret")(fail)
    attempts = itertools.count(1)

    @app.activity_trigger(input_name="number")
    async def fail_once(number: int) -> int:
        if next(attempts) == 1:
            raise ValueError("once")
        return number

    for orchestrator in (
        counting,
        calling_nobody,
        chain,
        fan,
        parent,
        failing,
        retrying,
        rewindable,
        lives,
        waiter,
        telling,
        leaving,
    ):
        app.orchestration_trigger(context_name="ctx")(orchestrator)
    return app


@asynccontextmanager
async def traced(directory: Path, *, sticky: bool = False) -> AsyncIterator[tuple[DurableHub, OtlpReceiver]]:
    clock = ManualClock()
    spans, receiver = kept_spans(clock)
    async with durable_hub(make_app(), directory, clock=clock, spans=spans, sticky=sticky) as hub:
        yield hub, receiver


async def trace_of(
    directory: Path, name: str, json_input: str | None = None, *, moves: int = 0, sticky: bool = False
) -> list[Span]:
    """The spans of one orchestration, once nothing of it runs any more."""
    async with traced(directory, sticky=sticky) as (hub, receiver):
        started = await hub.client.schedule_new_orchestration(name, input=json_input)
        for _ in range(moves):
            await hub.idle()
            assert isinstance(hub.clock, ManualClock)
            hub.clock.advance(timedelta(seconds=5))
        await hub.finished(started)
        await hub.idle()
        return list(receiver.spans)


def names(trace: list[Span]) -> list[str]:
    """Each span with its kind and its parent's name."""
    known = {span.span_id: span.name for span in trace}
    return sorted(f"{known.get(span.parent_id, '')} > {span.name} {span.kind}" for span in trace)


@pytest.mark.parametrize("sticky", [False, True])
async def test_a_chain_is_one_trace_from_its_start_to_its_last_activity(tmp_path: Path, sticky: bool) -> None:
    trace = await trace_of(tmp_path, "chain", "2", sticky=sticky)
    assert broken(trace) == [], drawn(trace)
    assert names(trace) == [
        " > create_orchestration:chain producer",
        "activity:add_one > activity:add_one server",
        "activity:add_one > activity:add_one server",
        "create_orchestration:chain > orchestration:chain server",
        "orchestration:chain > activity:add_one client",
        "orchestration:chain > activity:add_one client",
    ]
    assert {span.resource["service.name"] for span in trace} == {"devhost"}


@pytest.mark.parametrize("sticky", [False, True])
async def test_no_span_is_doubled_however_many_turns_there_are(tmp_path: Path, sticky: bool) -> None:
    trace = await trace_of(tmp_path, "chain", "12", sticky=sticky)
    assert broken(trace) == []
    assert len(trace) == 2 + 2 * 12


async def test_a_wide_fan_out_has_every_task_once(tmp_path: Path) -> None:
    trace = await trace_of(tmp_path, "fan", "40")
    assert broken(trace) == []
    assert len(trace) == 2 + 2 * 40


async def test_a_sub_orchestration_is_below_its_parents_wait_for_it(tmp_path: Path) -> None:
    trace = await trace_of(tmp_path, "parent", '"chain"')
    assert broken(trace) == [], drawn(trace)
    [deepest] = {tuple(way(trace, span)) for span in trace if span.name == "activity:add_one" and span.kind == "server"}
    assert deepest == (
        "create_orchestration:parent",
        "orchestration:parent",
        "orchestration:chain",
        "orchestration:chain",
        "activity:add_one",
        "activity:add_one",
    )


async def test_a_retry_is_another_activity_after_a_timer(tmp_path: Path) -> None:
    trace = await trace_of(tmp_path, "retrying", moves=1)
    assert broken(trace) == [], drawn(trace)
    attempts = [span for span in trace if span.name == "activity:fail_once" and span.kind == "server"]
    assert [(span.status, span.status_message) for span in attempts] == [("error", "ValueError"), ("unset", "")]
    [timer] = [span for span in trace if span.name == "orchestration:retrying:timer"]
    assert timer.seconds == 5
    assert way(trace, timer)[:-1] == ["create_orchestration:retrying", "orchestration:retrying"]


async def test_a_failure_marks_its_spans_with_its_type_and_tells_no_text_of_the_app(tmp_path: Path) -> None:
    trace = await trace_of(tmp_path, "failing")
    assert broken(trace) == []
    failed = {(span.name, span.kind): span.status_message for span in trace if span.status == "error"}
    assert failed == {
        ("activity:fail", "server"): "ValueError",
        ("activity:fail", "client"): "ValueError",
        ("orchestration:failing", "server"): "durabletask.task.TaskFailedError",
    }
    assert "secret" not in repr(trace)


async def test_each_execution_of_one_that_continues_as_new_is_a_span_below_its_start(tmp_path: Path) -> None:
    trace = await trace_of(tmp_path, "lives", "3")
    assert broken(trace) == [], drawn(trace)
    executions = [span for span in trace if span.name == "orchestration:lives"]
    statuses = [span.attributes["durabletask.task.status"] for span in executions]
    assert statuses == ["ContinuedAsNew", "ContinuedAsNew", "Completed"]
    assert len({span.parent_id for span in executions}) == 1


async def test_an_event_that_an_orchestrator_sends_is_a_span_of_its_own(tmp_path: Path) -> None:
    trace = await trace_of(tmp_path, "telling")
    assert broken(trace) == [], drawn(trace)
    [event] = [span for span in trace if span.name == "orchestration_event:go"]
    assert event.kind == "producer"
    assert event.attributes["durabletask.event.target_instance_id"] == "listener"
    assert way(trace, event)[:-1] == ["create_orchestration:telling", "orchestration:telling"]


async def test_an_operation_is_below_the_call_that_asked_for_it_and_a_signal_is_told_by_its_sender(
    tmp_path: Path,
) -> None:
    trace = await trace_of(tmp_path, "counting")
    assert broken(trace) == [], drawn(trace)
    operations = [line for line in names(trace) if "entity" in line]
    assert operations == [
        "entity:number:add > entity:number:add server",
        "entity:number:add > entity:number:add server",
        "orchestration:counting > entity:number:add client",
        "orchestration:counting > entity:number:add client",
        "orchestration:counting > entity:number:add producer",
    ]
    failed = [(span.kind, span.status_message) for span in trace if span.status == "error"]
    assert failed == [("server", "builtins.ValueError"), ("client", "builtins.ValueError")]


async def test_a_signal_to_what_is_no_entity_costs_no_other_span(tmp_path: Path) -> None:
    trace = await trace_of(tmp_path, "calling_nobody")
    assert broken(trace) == [], drawn(trace)
    assert len([span for span in trace if span.name == "activity:add_one"]) == 2
    assert [span.kind for span in trace if span.name == "entity:no entity:add"] == ["producer"]


async def test_a_task_that_nobody_waits_for_is_connected_too(tmp_path: Path) -> None:
    trace = await trace_of(tmp_path, "leaving")
    assert broken(trace) == [], drawn(trace)
    assert len([span for span in trace if span.name == "activity:add_one"]) == 4


async def test_a_terminated_orchestration_ends_its_span_and_those_of_what_it_waited_for(tmp_path: Path) -> None:
    async with traced(tmp_path) as (hub, receiver):
        await hub.client.schedule_new_orchestration("parent", input='"waiter"', instance_id="one")
        await hub.idle()
        await hub.client.terminate_orchestration("one", recursive=True)
        await hub.idle()
        assert broken(receiver.spans) == [], drawn(receiver.spans)
        ended = {span.name: span.attributes.get("durabletask.task.status") for span in receiver.spans}
        assert ended["orchestration:parent"] == ended["orchestration:waiter"] == "Terminated"


async def test_a_rewound_orchestration_is_another_span_and_nothing_is_told_twice(tmp_path: Path) -> None:
    async with traced(tmp_path) as (hub, receiver):
        started = await hub.client.schedule_new_orchestration("rewindable")
        assert (await hub.finished(started)).runtime_status is OrchestrationStatus.FAILED
        await hub.client.rewind_orchestration(started, reason="again")
        await hub.finished(started)
        await hub.idle()
        trace = list(receiver.spans)
    assert broken(trace) == [], drawn(trace)
    assert [span.status for span in trace if span.name == "orchestration:rewindable"] == ["error", "unset"]
    assert len([span for span in trace if span.name == "activity:add_one"]) == 2


async def test_the_spans_times_are_the_historys(tmp_path: Path) -> None:
    clock = ManualClock()
    spans, receiver = kept_spans(clock)
    async with durable_hub(make_app(), tmp_path, clock=clock, spans=spans) as hub:
        started = await hub.client.schedule_new_orchestration("waiter")
        await hub.idle()
        clock.advance(timedelta(seconds=90))
        await hub.client.raise_orchestration_event(started, "go", data="1")
        await hub.finished(started)
        await hub.idle()
    [execution] = receiver.named("orchestration:waiter")
    assert execution.seconds == 90
    assert execution.attributes["durabletask.task.instance_id"] == started


async def test_a_start_continues_the_trace_of_the_client_that_asks_for_it(tmp_path: Path) -> None:
    clock = ManualClock()
    spans, receiver = kept_spans(clock)
    async with durable_hub(make_app(), tmp_path, clock=clock, spans=spans) as hub:
        above = TraceContext(0xABC, 0xDEF, 1, "vendor=1")
        tracing = hub.hub.engine.context.tracing
        assert tracing is not None
        asked = tracing.creation("chain", None, above.message())
        asked.refused("AlreadyExists")
    [span] = receiver.spans
    assert (int(span.trace_id, 16), int(span.parent_id, 16), span.status) == (0xABC, 0xDEF, "error")
    assert asked.trace_context.traceState.value == "vendor=1"


async def test_an_unsampled_trace_has_no_spans_and_stays_unsampled() -> None:
    spans, receiver = kept_spans()
    parent = TraceContext(1, 2, flags=0).traceparent
    span = spans.begin("x", Kind.SERVER, parent=parent)
    span.end()
    assert receiver.spans == []
    own = TraceContext.parsed(span.traceparent)
    assert own is not None
    assert (own.trace_id, own.flags) == (1, 0)


@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize(
    "name", ["turn-begins", "turn-ended", "turn-applied", "activity-begins", "activity-ended", "commit-written"]
)
async def test_after_a_crash_an_orchestrations_span_still_ends_once(tmp_path: Path, name: str, nth: int) -> None:
    clock = ManualClock()
    spans, receiver = kept_spans(clock)
    crash = DieAt(name, nth)
    async with durable_hub(make_app(), tmp_path, clock=clock, spans=spans, crash=crash) as hub:
        starting = asyncio.create_task(
            hub.client.schedule_new_orchestration("parent", input='"chain"', instance_id="one")
        )
        async with asyncio.timeout(10):
            await crash.dead.wait()
        await asyncio.gather(starting, return_exceptions=True)
    async with durable_hub(make_app(), tmp_path, clock=clock, spans=spans) as hub:
        if await hub.client.get_orchestration_state("one") is None:
            await hub.client.schedule_new_orchestration("parent", input='"chain"', instance_id="one")
        await hub.finished("one")
        await hub.idle()
    for orchestrator in ("parent", "chain"):
        [execution] = [each for each in receiver.named(f"orchestration:{orchestrator}") if each.kind == "server"]
        assert execution.attributes["durabletask.task.status"] == "Completed"
    assert len({span.span_id for span in receiver.spans}) == len(receiver.spans)


async def test_spans_that_cannot_be_taken_in_cost_no_orchestration_its_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Full(NoSpans):
        @override
        def begin(self, *args: Any, **options: Any) -> OpenSpan:
            return kept_spans()[0].begin(*args, **options)

        @override
        def record(self, span: HostSpan) -> None:
            raise OSError("full")

    async with durable_hub(make_app(), tmp_path, spans=Full()) as hub:
        assert await hub.output("chain", "2") == "2"
    assert "spans are lost" in caplog.text
