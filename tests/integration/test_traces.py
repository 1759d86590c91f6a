"""One run, one trace: for each pattern on the whole local host, from the request to every model's answer and its reply.

What the host emits and what the app emits is collected where both are sent to. `tests/support/span_tree.py` says what
is wrong with a trace and draws it.
"""

import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient

from orchestrations.outside_events import event_key
from orchestrations.starter import run_id
from shared.events import OutsideEvent
from tests.support.chat_model import chat_model
from tests.support.eventually import eventually
from tests.support.host_process import ROOT
from tests.support.muster_host import MusterHost, free_port, muster_host
from tests.support.otlp_receiver import OtlpReceiver, Span, otlp_receiver
from tests.support.pattern_runs import RUNS, PatternRun, ScriptedModel, run_of
from tests.support.span_tree import broken, drawn, way

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLIENT, CLIENT_SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
OTHER = "1bf7651916cd43dd8448eb211c80319c"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model() -> AsyncIterator[ScriptedModel]:
    deciding = ScriptedModel()
    async with chat_model(deciding):
        yield deciding


@pytest.fixture(scope="module")
def otlp() -> Iterator[OtlpReceiver]:
    with otlp_receiver() as receiver:
        yield receiver


def exporting(otlp: OtlpReceiver, **settings: str) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": otlp.url, "OTEL_BSP_SCHEDULE_DELAY": "50", **settings}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host(
    tmp_path_factory: pytest.TempPathFactory, model: ScriptedModel, otlp: OtlpReceiver
) -> AsyncIterator[MusterHost]:
    folder = tmp_path_factory.mktemp("traces")
    async with muster_host(folder, model_url=model.url, settings=exporting(otlp)) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bare(
    tmp_path_factory: pytest.TempPathFactory, model: ScriptedModel, otlp: OtlpReceiver
) -> AsyncIterator[MusterHost]:
    """A host without spans of its own."""
    folder, settings = tmp_path_factory.mktemp("bare"), exporting(otlp)
    async with muster_host(
        folder, model_url=model.url, settings=settings, arguments=["--no-host-spans", "--sticky"]
    ) as running:
        yield running


def trace_of(otlp: OtlpReceiver, task_id: str) -> list[Span]:
    """What has come of the run's trace."""
    begun = next(iter(otlp.with_attributes(muster__task_id=task_id)), None)
    return [] if begun is None else otlp.trace(begun.trace_id)


async def whole(otlp: OtlpReceiver, task_id: str, pattern: PatternRun, *, outside: str = "") -> list[Span]:
    """The run's trace, once its last spans have come and nothing is missing; else a drawing of what there is."""

    def complete() -> bool:
        trace = trace_of(otlp, task_id)
        replies = [span for span in trace if span.name.startswith("reply")]
        over = any(span.name.startswith("invoke_workflow") for span in trace)
        return over and len(replies) == sum(pattern.invoked.values()) and not broken(trace, outside=outside)

    try:
        await eventually(complete, within=20.0)
    except AssertionError:
        trace = trace_of(otlp, task_id)
        raise AssertionError("\n".join(["", *broken(trace, outside=outside), drawn(trace)])) from None
    return trace_of(otlp, task_id)


async def ran(host: MusterHost, otlp: OtlpReceiver, pattern: PatternRun, **headers: str) -> list[Span]:
    """The trace of one run over HTTP, in which every step of its record has a span, and every span its run."""
    body = json.dumps(pattern.request).encode()
    status, answer, _ = await host.post(f"/api/workflows/{pattern.name}", body, headers=headers)
    assert status == 202, answer
    task = await host.finished(str(answer["task_id"]))
    assert task["status"] == "completed", task
    trace = await whole(otlp, task["id"], pattern, outside=CLIENT_SPAN if headers else "")
    of_app = [span for span in trace if span.scope == "muster"]
    assert {span.attributes.get("muster.task_id") for span in of_app} == {task["id"]}, drawn(trace)
    worked = {span.attributes["muster.step_id"] for span in of_app if span.name.startswith("invoke_agent")}
    assert worked == {step["step_id"] for step in task["steps"] if step["started_at"]}, drawn(trace)
    return trace


def ways(trace: list[Span], prefix: str) -> list[str]:
    """The way from the root to each span whose name begins so, versions left out."""
    found = [" > ".join(way(trace, span)) for span in trace if span.name.startswith(prefix)]
    return [re.sub(r"@\([^)]*\)", "", each) for each in found]


def invoked(trace: list[Span]) -> dict[str, int]:
    """How often each agent was invoked."""
    return dict(Counter(str(span.attributes["muster.agent"]) for span in trace if span.name.startswith("invoke_agent")))


def unpaired(trace: list[Span]) -> list[str]:
    """Waits of an orchestrator that nothing was run for, or more than once; and what ran without being waited for."""
    waits = {span.span_id: span.name for span in trace if span.kind == "client" and span.scope == "devhost"}
    runs = Counter(span.parent_id for span in trace if span.kind == "server" and span.parent_id in waits)
    lines = [f"{name}: run {runs[found]} times" for found, name in waits.items() if runs[found] != 1]
    alone = [
        s.name for s in trace if s.name.startswith("activity:") and s.kind == "server" and s.parent_id not in waits
    ]
    return lines + [f"{name}: not waited for" for name in alone]


def to_agent(name: str, *, sent_by: str = "activity:dispatch_agents", door: str = "") -> str:
    """The way from a request to an agent's work, as `docs/telemetry.md` has it, for a run of the pattern `name`."""
    orchestrator = name.replace("-", "_")
    door = door or rf"POST /api/workflows/\{{pattern\}} > start_run {name}"
    began = rf"{door} > create_orchestration:{orchestrator} > orchestration:{orchestrator}"
    nested = r"(?: > orchestration:(?P<nested>\w+) > orchestration:(?P=nested))*"
    return rf"{began}{nested} > {sent_by} > {sent_by} > send [a-z-]+ > ServiceBusProcessor\.ProcessMessage"


# -- each pattern ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", RUNS, ids=lambda each: "-".join([each.name, *each.orchestrations]))
async def test_a_run_is_one_connected_trace_down_to_every_models_answer_and_its_reply(
    host: MusterHost, model: ScriptedModel, otlp: OtlpReceiver, pattern: PatternRun
) -> None:
    model.begin(**pattern.says)
    trace = await ran(host, otlp, pattern)
    tree = drawn(trace)
    sender = "activity:publish_events" if pattern.name == "event-driven" else "activity:dispatch_agents"
    route = to_agent(pattern.name, sent_by=sender)

    assert invoked(trace) == pattern.invoked, tree
    for prefix, under in (
        ("invoke_agent", ""),
        ("chat", r" > invoke_agent [\w-]+"),
        ("reply", r" > invoke_agent [\w-]+"),
    ):
        strays = [each for each in ways(trace, prefix) if not re.fullmatch(rf"{route}{under} > {prefix} [\w-]+", each)]
        assert strays == [], tree
    assert len(ways(trace, "chat")) == len(model.requests), tree
    assert len(ways(trace, "reply")) == sum(pattern.invoked.values()), tree

    servers = [span.name.partition("@")[0] for span in trace if span.kind == "server"]
    orchestrators = Counter(name.partition(":")[2] for name in servers if name.startswith("orchestration:"))
    assert orchestrators == Counter([pattern.name.replace("-", "_"), *pattern.orchestrations]), tree
    assert unpaired(trace) == [], tree
    for once in ("POST ", "start_run", "create_orchestration:", "invoke_workflow"):
        assert len(ways(trace, once)) == 1, tree


@pytest.mark.parametrize("pattern", RUNS, ids=lambda each: "-".join([each.name, *each.orchestrations]))
async def test_without_the_hosts_spans_the_apps_alone_are_one_connected_trace(
    bare: MusterHost, model: ScriptedModel, otlp: OtlpReceiver, pattern: PatternRun
) -> None:
    model.begin(**pattern.says)
    trace = await ran(bare, otlp, pattern)
    assert {span.resource["service.name"] for span in trace} == {"muster"}
    assert invoked(trace) == pattern.invoked, drawn(trace)
    routes = ways(trace, "chat") + ways(trace, "reply")
    begun = rf"start_run {pattern.name} > send [a-z-]+ > invoke_agent [\w-]+ > (chat|reply) [\w-]+"
    assert [each for each in routes if not re.fullmatch(begun, each)] == [], drawn(trace)


async def test_the_tree_on_the_page_is_what_a_run_of_two_agents_leaves(
    host: MusterHost, model: ScriptedModel, otlp: OtlpReceiver
) -> None:
    model.begin()
    tree = drawn(await ran(host, otlp, run_of("sequential")), times=False)
    assert f"```text\n{tree}\n```" in (ROOT / "docs" / "telemetry.md").read_text(encoding="utf-8"), tree


async def test_a_run_belongs_to_the_trace_of_the_client_that_asked_for_it(
    host: MusterHost, model: ScriptedModel, otlp: OtlpReceiver
) -> None:
    model.begin()
    trace = await ran(host, otlp, run_of("sequential"), traceparent=f"00-{CLIENT}-{CLIENT_SPAN}-01")
    assert {span.trace_id for span in trace} == {CLIENT}
    assert [span.name for span in trace if span.parent_id == CLIENT_SPAN] == ["POST /api/workflows/{pattern}"]


# -- the other doors ---------------------------------------------------------------------------------------------


async def sent(host: MusterHost, entity: str, body: Any, **options: Any) -> None:
    client = ServiceBusClient.from_connection_string(host.connection_string)
    is_topic = entity == "agent-events"
    async with client, client.get_topic_sender(entity) if is_topic else client.get_queue_sender(entity) as sender:
        await sender.send_messages(ServiceBusMessage(json.dumps(body), **options))


async def found(host: MusterHost, task_id: str) -> None:
    async def there() -> bool:
        return (await host.get(f"/api/task/{task_id}"))[0] == 200

    assert await eventually(there, within=20.0, every=0.05)
    assert (await host.finished(task_id))["status"] == "completed"


async def test_a_message_on_the_start_queue_begins_a_trace_or_continues_its_senders(
    host: MusterHost, model: ScriptedModel, otlp: OtlpReceiver
) -> None:
    model.begin()
    body = {"pattern": "parallel", **run_of("parallel").request}
    above = {"application_properties": {"traceparent": f"00-{OTHER}-{CLIENT_SPAN}-01"}}
    for key, options, outside in (("alone", {}, ""), ("below", above, CLIENT_SPAN)):
        await sent(host, "workflow-starts", body, message_id=key, **options)
        await found(host, run_id("parallel", key))
        trace = await whole(otlp, run_id("parallel", key), run_of("parallel"), outside=outside)
        assert (trace[0].trace_id == OTHER) is bool(outside)
        door = r"ServiceBusProcessor\.ProcessMessage > start_run parallel"
        route = to_agent("parallel", door=door) + r" > invoke_agent \w+ > chat [\w-]+"
        routes = ways(trace, "chat")
        assert len(routes) == 3, drawn(trace)
        assert [each for each in routes if not re.fullmatch(route, each)] == [], drawn(trace)


async def test_an_event_from_outside_is_followed_to_every_reaction(
    host: MusterHost, model: ScriptedModel, otlp: OtlpReceiver
) -> None:
    model.begin(**run_of("event-driven").says)
    event = {"specversion": "1.0", "id": "reading-1", "source": "/sensors/7", "type": "DataReceived", "data": {"c": 41}}
    await sent(host, "agent-events", event)
    task_id = run_id("event-driven", event_key(OutsideEvent.model_validate(event)))
    await found(host, task_id)
    trace = await whole(otlp, task_id, run_of("event-driven"))
    door = r"ServiceBusProcessor\.ProcessMessage > start_run event-driven"
    route = to_agent("event-driven", sent_by="activity:publish_events", door=door) + r" > invoke_agent \w+"
    assert invoked(trace) == run_of("event-driven").invoked, drawn(trace)
    assert [each for each in ways(trace, "invoke_agent") if not re.fullmatch(route, each)] == [], drawn(trace)


# -- what goes wrong ---------------------------------------------------------------------------------------------


async def test_a_retry_is_another_delivery_below_the_message_that_asked(
    host: MusterHost, model: ScriptedModel, otlp: OtlpReceiver
) -> None:
    model.begin()
    model.failures = 1
    trace = await ran(host, otlp, run_of("sequential"))
    tree = drawn(trace)
    writer = [span for span in trace if span.name == "invoke_agent writer"]
    assert [(span.attributes["muster.attempt"], span.status) for span in writer] == [(1, "error"), (2, "unset")], tree
    first, second = (way(trace, span) for span in writer)
    assert first == second, tree
    deliveries = {span.span_id: span for span in trace if span.name == "ServiceBusProcessor.ProcessMessage"}
    assert len({deliveries[span.parent_id].parent_id for span in writer}) == 1, tree
    assert [span.status for span in trace if span.name.startswith("chat")].count("error") == 1, tree
    assert len([span for span in trace if span.name == "reply writer"]) == 1, tree


async def test_a_replayed_dead_letter_goes_on_in_its_runs_trace_also_in_another_process(
    tmp_path: Path, model: ScriptedModel, otlp: OtlpReceiver
) -> None:
    model.begin()
    off = exporting(otlp, **{"AzureWebJobs.writer_queue.Disabled": "true"})
    port = free_port()
    async with muster_host(tmp_path, model_url=model.url, amqp_port=port, settings=off) as host:
        body = json.dumps(run_of("sequential").request).encode()
        status, answer, _ = await host.post("/api/workflows/sequential", body)
        assert status == 202, answer
        await dead_letter(host, "writer-tasks")
    async with muster_host(tmp_path, model_url=model.url, amqp_port=port, settings=exporting(otlp)) as host:
        [dead] = (await host.get("/api/dead-letters?agent=writer"))[1]["dead_letters"]
        asked = {"ids": [dead["id"]], "by": "Ann"}
        _, replayed, _ = await host.post("/api/dead-letters/replay", json.dumps(asked).encode())
        assert [each["action"] for each in replayed["results"]] == ["sent"], replayed
        task = await host.finished(answer["task_id"])
        assert task["status"] == "completed", task
        trace = await whole(otlp, task["id"], run_of("sequential"))
    assert invoked(trace) == run_of("sequential").invoked, drawn(trace)
    route = to_agent("sequential") + r" > invoke_agent \w+ > chat [\w-]+"
    assert [each for each in ways(trace, "chat") if not re.fullmatch(route, each)] == [], drawn(trace)
    assert unpaired(trace) == [], drawn(trace)


async def dead_letter(host: MusterHost, queue: str) -> None:
    client = ServiceBusClient.from_connection_string(host.connection_string)
    async with client, client.get_queue_receiver(queue, max_wait_time=20) as receiver:
        [message] = await receiver.receive_messages(max_message_count=1, max_wait_time=20)
        await receiver.dead_letter_message(message, reason="by hand")


# -- at the end --------------------------------------------------------------------------------------------------


async def test_once_the_hosts_have_ended_every_trace_that_they_sent_is_whole(
    host: MusterHost, bare: MusterHost, otlp: OtlpReceiver
) -> None:
    for each in (host, bare):
        each.process.interrupt()
        assert await each.process.wait() == 0
    traces = {span.trace_id for span in otlp.spans}
    assert len(traces) > len(RUNS)
    for trace_id in traces:
        trace = otlp.trace(trace_id)
        outside = CLIENT_SPAN if trace_id in {CLIENT, OTHER} else ""
        assert broken(trace, outside=outside) == [], drawn(trace)
