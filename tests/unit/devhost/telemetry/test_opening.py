"""Whether the host emits spans: off unless somebody names an endpoint, and never in the way of the app."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from devhost.clock import SystemClock
from devhost.errors import StartError
from devhost.options import HostOptions
from devhost.telemetry import opening
from devhost.telemetry.opening import open_spans, telemetry_endpoint
from devhost.telemetry.spans import Kind
from devhost.telemetry.trace_context import TraceContext
from tests.support.kept_spans import kept_spans
from tests.support.otlp_receiver import otlp_receiver

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:1"}


def options(**chosen: object) -> HostOptions:
    return HostOptions(app_dir=Path(), **chosen)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "endpoint"),
    [
        ({}, None),
        (ENDPOINT, "http://localhost:1"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, None),
        ({**ENDPOINT, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://localhost:2/t"}, "http://localhost:2/t"),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "TRUE"}, None),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"}, None),
    ],
)
def test_telemetry_is_wanted_where_opentelemetrys_variables_say_so(
    settings: dict[str, str], endpoint: str | None
) -> None:
    assert telemetry_endpoint(options(), settings) == endpoint


def test_an_option_wins_over_the_environment() -> None:
    asked = options(otlp_endpoint="http://o:1")
    assert telemetry_endpoint(asked, {**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"}) == "http://o:1"
    assert telemetry_endpoint(asked, {"OTEL_SDK_DISABLED": "true"}) is None, "there would be nothing to emit them"


def test_no_endpoint_or_no_wish_means_no_spans() -> None:
    assert open_spans(options(), {}, SystemClock()) is None
    assert open_spans(options(host_spans=False), ENDPOINT, SystemClock()) is None


def test_an_environment_that_asks_for_grpc_is_told_and_an_option_is_taken_at_its_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = {**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    assert open_spans(options(), settings, SystemClock()) is None
    assert "it speaks http/protobuf only, and the environment asks for grpc" in caplog.text


def test_a_missing_exporter_is_a_refusal_for_an_option_and_a_warning_for_a_variable(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(opening, "_EXPORTER", "opentelemetry.not_there.at_all")
    assert open_spans(options(), ENDPOINT, SystemClock()) is None
    assert "opentelemetry-exporter-otlp-proto-http is not installed" in caplog.text
    with pytest.raises(StartError, match="cannot send spans to http://o:1: the package"):
        open_spans(options(otlp_endpoint="http://o:1"), {}, SystemClock())


async def test_spans_arrive_at_the_endpoint_when_it_is_closed() -> None:
    with otlp_receiver() as otlp:
        spans = open_spans(options(otlp_endpoint=f"{otlp.url}/"), {}, SystemClock())
        assert spans is not None
        spans.begin("hello", Kind.SERVER).end()
        async with asyncio.timeout(10):
            await spans.close()
        [span] = otlp.spans
    assert (span.name, span.resource["service.name"]) == ("hello", "devhost")


def test_the_host_imports_no_sdk_of_opentelemetry_unless_spans_are_wanted() -> None:
    program = (
        "import sys, devhost.host, devhost.cli; print([m for m in sys.modules if m.startswith('opentelemetry.sdk')"
        " or m.startswith('opentelemetry.exporter')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("sampler", "flags", "spans"), [("always_on", 1, 1), ("always_off", 0, 0)])
def test_the_environments_sampler_decides_for_the_whole_trace(
    monkeypatch: pytest.MonkeyPatch, sampler: str, flags: int, spans: int
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    kept, came = kept_spans()
    span = kept.begin("root", Kind.SERVER)
    span.end()
    context = TraceContext.parsed(span.traceparent)
    assert context is not None
    assert context.flags & 1 == flags
    assert len(came.spans) == spans
