"""What triggers emit: a span for each call, below the trace that came with it, and the parent of what is called."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from devhost.clock import ManualClock
from devhost.http.function_endpoint import FunctionEndpoint
from devhost.http.limits import RequestLimits
from devhost.http.routes import build_routes
from devhost.http.server import HttpServer, listen
from devhost.keys import HostKeys
from devhost.telemetry.spans import NoSpans, Spans
from devhost.triggers.service_bus import build_service_bus_triggers
from devhost.triggers.timer import build_timer_triggers
from tests.support.eventually import eventually
from tests.support.fake_invoke import Call, FakeInvoke, trigger_function
from tests.support.fake_receiver import FakeEntity
from tests.support.functions import http_function
from tests.support.kept_spans import kept_spans
from tests.support.otlp_receiver import Span

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HEADER = f"00-{TRACE}-{PARENT}-01"
KEYS = HostKeys(Path("keys"), {"default": "dk", "master": "mk", "durabletask": "sk"}, fresh=False)
BUS = {"Bus": "Endpoint=sb://localhost;SharedAccessKeyName=R;SharedAccessKey=k;UseDevelopmentEmulator=true"}


async def fail(_: Call) -> None:
    raise RuntimeError("a secret")


def told(*spans: Span) -> list[str]:
    """What those below these spans must have been told, without the flags."""
    return [f"00-{span.trace_id}-{span.span_id}" for span in spans]


def heard(invoke: FakeInvoke) -> list[str]:
    """What functions were told, without the flags: of these, "random" comes with each new trace."""
    return [call.trace_parent.rpartition("-")[0] for call in invoke.calls]


@asynccontextmanager
async def serving(invoke: FakeInvoke, spans: Spans | None) -> AsyncIterator[aiohttp.ClientSession]:
    listener = listen("127.0.0.1", 0)
    functions = [http_function("open", "things/{id}"), http_function("locked", "locked", auth_level="function")]
    endpoint = FunctionEndpoint(build_routes(functions, "api"), KEYS, RequestLimits(), invoke, spans)
    server = HttpServer(listener, endpoint, [], max_request_bytes=100)
    await server.start()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{listener.getsockname()[1]}") as http:
            yield http
    finally:
        await server.stop()


async def answered(http: aiohttp.ClientSession, path: str, **options: Any) -> int:
    async with http.post(path, **options) as response:
        await response.read()
        return response.status


@asynccontextmanager
async def receiving(entity: FakeEntity, invoke: FakeInvoke, spans: Spans | None, **more: Any) -> AsyncIterator[None]:
    function = trigger_function("f", "serviceBusTrigger", None, connection="Bus", queueName="q", **more)
    (trigger,) = build_service_bus_triggers(
        [function], BUS, {}, invoke, entity.clock, connect=lambda *_: entity, spans=spans
    )
    await trigger.start()
    try:
        yield
    finally:
        await trigger.stop()


# -- HTTP ----------------------------------------------------------------------------------------------------------


async def test_a_request_is_a_server_span_that_continues_the_clients_trace() -> None:
    spans, came = kept_spans()
    invoke = FakeInvoke()
    async with serving(invoke, spans) as http:
        assert await answered(http, "/api/things/7?code=secret", headers={"traceparent": HEADER}) == 204
    [span] = came.spans
    assert (span.name, span.kind, span.trace_id, span.parent_id) == ("POST /api/things/{id}", "server", TRACE, PARENT)
    assert span.attributes["http.response.status_code"] == 204
    assert (span.attributes["http.route"], span.attributes["url.path"]) == ("/api/things/{id}", "/api/things/7")
    assert "secret" not in repr(span)
    assert heard(invoke) == told(span)


@pytest.mark.parametrize("header", ["", "garbage", f"00-{'0' * 32}-{PARENT}-01"])
async def test_a_request_without_a_usable_trace_begins_one(header: str) -> None:
    spans, came = kept_spans()
    invoke = FakeInvoke()
    async with serving(invoke, spans) as http:
        await answered(http, "/api/things/7", headers={"traceparent": header})
    [span] = came.spans
    assert span.parent_id == ""
    assert heard(invoke) == told(span)


async def test_a_function_that_fails_is_a_failed_span_without_its_message() -> None:
    spans, came = kept_spans()
    async with serving(FakeInvoke(fail), spans) as http:
        assert await answered(http, "/api/things/7") == 500
    [span] = came.spans
    assert (span.status, span.status_message, span.attributes["http.response.status_code"]) == ("error", "500", 500)
    assert "a secret" not in repr(span)


async def test_a_request_that_is_refused_has_its_status_and_is_no_failure() -> None:
    spans, came = kept_spans()
    async with serving(FakeInvoke(), spans) as http:
        assert await answered(http, "/api/locked") == 401
        assert await answered(http, "/api/nothing") == 404
    assert [(span.attributes["http.response.status_code"], span.status) for span in came.spans] == [(401, "unset")]


async def test_without_spans_the_clients_header_reaches_the_function_as_it_came() -> None:
    invoke = FakeInvoke()
    async with serving(invoke, None) as http:
        await answered(http, "/api/things/7", headers={"traceparent": HEADER})
        await answered(http, "/api/things/7")
    assert [call.trace_parent for call in invoke.calls] == [HEADER, ""]


# -- Service Bus ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["traceparent", "Diagnostic-Id"])
async def test_a_message_is_a_consumer_span_below_its_senders(name: str) -> None:
    spans, came = kept_spans()
    entity, invoke = FakeEntity(), FakeInvoke()
    entity.put("a", application_properties={name: HEADER}, message_id="m1")
    async with receiving(entity, invoke, spans):
        await eventually(lambda: entity.completed)
    [span] = came.spans
    assert (span.name, span.kind) == ("ServiceBusProcessor.ProcessMessage", "consumer")
    assert (span.trace_id, span.parent_id, span.status) == (TRACE, PARENT, "unset")
    assert span.attributes["messaging.destination.name"] == "q"
    assert span.attributes["messaging.message.id"] == "m1"
    assert heard(invoke) == told(span)


async def test_each_delivery_is_a_span_and_a_failed_one_says_what_kind_of_failure() -> None:
    spans, came = kept_spans()
    entity = FakeEntity(max_deliveries=2)
    entity.put("a", application_properties={"traceparent": HEADER})
    async with receiving(entity, FakeInvoke(fail), spans):
        await eventually(lambda: entity.dead_lettered)
    assert [(span.parent_id, span.status, span.status_message) for span in came.spans] == [
        (PARENT, "error", "RuntimeError")
    ] * 2
    assert [span.attributes["messaging.servicebus.message.delivery_count"] for span in came.spans] == [1, 2]


async def test_a_batch_begins_a_trace_and_links_to_those_of_its_messages() -> None:
    spans, came = kept_spans()
    entity, invoke = FakeEntity(), FakeInvoke()
    entity.put("a", application_properties={"traceparent": HEADER})
    entity.put("b")
    async with receiving(entity, invoke, spans, cardinality="many"):
        await eventually(lambda: len(entity.completed) == 2)
    first = came.spans[0]
    assert (first.name, first.kind, first.parent_id) == ("ServiceBusListener.ProcessMessages", "consumer", "")
    assert [(link.trace_id, link.span_id) for span in came.spans for link in span.links] == [(TRACE, PARENT)]
    assert heard(invoke)[:1] == told(first)


async def test_without_spans_the_senders_context_reaches_the_function_as_it_came() -> None:
    entity, invoke = FakeEntity(), FakeInvoke()
    entity.put("a", application_properties={"Diagnostic-Id": HEADER})
    async with receiving(entity, invoke, NoSpans()):
        await eventually(lambda: entity.completed)
    assert [call.trace_parent for call in invoke.calls] == [HEADER]


# -- timers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("behaviour", "status"), [(None, "unset"), (fail, "error")])
async def test_each_run_of_a_timer_begins_a_trace(
    tmp_path: Path, behaviour: Callable[[Call], Awaitable[None]] | None, status: str
) -> None:
    spans, came = kept_spans()
    clock, invoke = ManualClock(datetime(2026, 1, 1, 10, 2, tzinfo=UTC)), FakeInvoke(behaviour)
    function = trigger_function("tick", "timerTrigger", None, schedule="0 */5 * * * *")
    (trigger,) = build_timer_triggers([function], {}, tmp_path, invoke, clock, spans)
    await trigger.start()
    for _ in range(2):
        for _ in range(20):
            await asyncio.sleep(0)
        clock.advance(timedelta(minutes=5))
    await eventually(lambda: len(came.spans) == 2)
    await trigger.stop()
    assert [(span.name, span.kind, span.parent_id, span.status) for span in came.spans] == [
        ("tick", "internal", "", status)
    ] * 2
    assert heard(invoke) == told(*came.spans)
    assert len({span.trace_id for span in came.spans}) == 2
