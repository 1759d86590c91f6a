"""The spans of the host and of an app that knows nothing of it come together as one trace, as they do in Azure."""

from collections.abc import Mapping
from pathlib import Path

import aiohttp
import pytest

from tests.support.eventually import eventually
from tests.support.host_process import HostProcess
from tests.support.otlp_receiver import OtlpReceiver, Span, otlp_receiver
from tests.support.span_tree import broken, drawn, way

APP = Path(__file__).parent / "apps" / "traced_app"
BUS = "Endpoint=sb://localhost;SharedAccessKeyName=k;SharedAccessKey=s3cret;UseDevelopmentEmulator=true"
CLIENT, CLIENT_SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SOON = 20.0
TO_ASK = [
    "POST /api/start/{name}",
    "app start",
    "create_orchestration:journey",
    "orchestration:journey",
    "orchestration:ask",
    "orchestration:ask",
    "activity:send",
    "activity:send",
    "app send",
    "ServiceBusProcessor.ProcessMessage",
    "app answer",
]


def host(folder: Path, otlp: OtlpReceiver, *arguments: str, **settings: str) -> HostProcess:
    env = {
        "BUS": BUS,
        "OTEL_EXPORTER_OTLP_ENDPOINT": otlp.url,
        "OTEL_SERVICE_NAME": "app",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    return HostProcess(
        APP, state_dir=folder / "state", env={**env, **settings}, arguments=["--amqp-port", "0", *arguments]
    )


async def started(running: HostProcess, name: str = "journey", headers: Mapping[str, str] | None = None) -> None:
    async with (
        aiohttp.ClientSession(running.url) as http,
        http.post(f"/api/start/{name}", params={"id": "one"}, headers=headers) as answer,
    ):
        assert answer.status == 202, await answer.text()


async def ended(running: HostProcess, otlp: OtlpReceiver, last: str) -> list[Span]:
    """All spans of the trace that has one called `last`, once the host has been told to stop and sent all it had."""
    await eventually(lambda: otlp.named(last), within=SOON)
    running.interrupt()
    await running.wait()
    [trace_id] = {span.trace_id for span in otlp.named(last)}
    return otlp.trace(trace_id)


def chain(trace: list[Span], name: str) -> list[str]:
    """The names from the root to the one span called so."""
    [span] = [each for each in trace if each.name == name]
    return way(trace, span)


@pytest.mark.parametrize("arguments", [[], ["--sticky"]], ids=["replay", "sticky"])
async def test_host_and_app_make_one_trace_from_the_request_to_the_answer(tmp_path: Path, arguments: list[str]) -> None:
    with otlp_receiver() as otlp:
        async with host(tmp_path, otlp, *arguments) as running:
            await started(running)
            trace = await ended(running, otlp, "orchestration:journey")
    assert broken(trace) == [], drawn(trace)
    assert chain(trace, "app answer") == TO_ASK, drawn(trace)
    assert chain(trace, "app activity") == [*TO_ASK[:4], "activity:think", "activity:think", "app activity"]
    assert chain(trace, "orchestration:journey:timer")[:-1] == TO_ASK[:4]
    assert chain(trace, "app entity") == [*TO_ASK[:4], "entity:tally:add", "entity:tally:add", "app entity"]
    replays = [span for span in trace if span.name == "app orchestrator"]
    assert {tuple(way(trace, span)[:-1]) for span in replays} == {tuple(TO_ASK[:3])}
    of_service = {name: {s.name for s in trace if s.resource["service.name"] == name} for name in ("app", "devhost")}
    assert all(name.startswith("app ") for name in of_service["app"])
    assert not any(name.startswith("app ") for name in of_service["devhost"])


async def test_a_trace_begun_by_the_client_is_continued(tmp_path: Path) -> None:
    with otlp_receiver() as otlp:
        async with host(tmp_path, otlp) as running:
            await started(running, headers={"traceparent": f"00-{CLIENT}-{CLIENT_SPAN}-01"})
            trace = await ended(running, otlp, "orchestration:journey")
    assert {span.trace_id for span in trace} == {CLIENT}
    assert broken(trace, outside=CLIENT_SPAN) == [], drawn(trace)
    assert chain(trace, "app answer") == TO_ASK
    # The stock worker library takes no context along to the thread of a `def` function, in Azure as here.
    [apart] = otlp.named("app activity in a thread")
    assert (apart.trace_id != CLIENT, apart.parent_id) == (True, "")


async def test_a_message_that_leaves_by_an_output_binding_takes_its_trace_along(tmp_path: Path) -> None:
    with otlp_receiver() as otlp:
        async with host(tmp_path, otlp) as running:
            async with aiohttp.ClientSession(running.url) as http, http.post("/api/note") as answer:
                assert await answer.text() == "noted"
            trace = await ended(running, otlp, "app remember")
    assert broken(trace) == [], drawn(trace)
    assert [span.name for span in trace] == [
        "POST /api/note",
        "ServiceBusSender.Send",
        "ServiceBusProcessor.ProcessMessage",
        "app remember",
    ]


async def test_one_argument_is_enough_for_the_spans_of_host_and_app(tmp_path: Path) -> None:
    with otlp_receiver() as otlp:
        arguments = ["--amqp-port", "0", "--otlp-endpoint", otlp.url]
        async with HostProcess(APP, state_dir=tmp_path / "state", env={"BUS": BUS}, arguments=arguments) as running:
            await started(running)
            trace = await ended(running, otlp, "orchestration:journey")
    assert broken(trace) == [], drawn(trace)
    assert chain(trace, "app answer") == TO_ASK


async def test_without_the_hosts_spans_those_of_the_app_are_one_trace(tmp_path: Path) -> None:
    with otlp_receiver() as otlp:
        async with host(tmp_path, otlp, "--no-host-spans") as running:
            await started(running)
            trace = await ended(running, otlp, "app answer")
    assert broken(trace) == [], drawn(trace)
    assert {span.resource["service.name"] for span in trace} == {"app"}
    assert chain(trace, "app answer") == ["app start", "app send", "app answer"]


async def test_without_an_endpoint_nothing_is_sent_and_everything_works(tmp_path: Path) -> None:
    with otlp_receiver() as otlp:
        unset = {"OTEL_EXPORTER_OTLP_ENDPOINT": "", "OTEL_TRACES_EXPORTER": "none", "OTEL_SDK_DISABLED": "true"}
        async with host(tmp_path, otlp, **unset) as running:
            await started(running)
            await eventually(lambda: "journey (orchestration one): completed" in running.log, within=SOON)
        assert otlp.requests == 0
    assert "spans of the host" not in running.log


async def test_a_receiver_that_is_not_there_does_not_keep_the_host_from_its_work_nor_from_stopping(
    tmp_path: Path,
) -> None:
    with otlp_receiver() as otlp:
        pass
    async with host(tmp_path, otlp) as running:
        await started(running)
        await eventually(lambda: "journey (orchestration one): completed" in running.log, within=SOON)
        running.interrupt()
        assert await running.wait() == 0


async def test_after_the_process_was_killed_the_orchestrations_span_still_ends_once(tmp_path: Path) -> None:
    with otlp_receiver() as otlp:
        running = host(tmp_path, otlp)
        async with running:
            await started(running, "ask_later")
            # What the process has not sent dies with it.
            sent = ("POST /api/start/{name}", "app start", "create_orchestration:ask_later", "app activity")
            await eventually(lambda: all(map(otlp.named, sent)) and len(otlp.named("activity:think")) == 2, within=SOON)
            running.kill()
        async with running:
            trace = await ended(running, otlp, "orchestration:ask_later")
    assert broken(trace) == [], drawn(trace)
    assert len([span for span in trace if span.name == "orchestration:ask_later"]) == 1
