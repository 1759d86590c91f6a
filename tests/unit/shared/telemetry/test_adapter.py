"""The OpenTelemetry adapter: which span is whose parent, what is let out, and what is inherited."""

import asyncio
from datetime import timedelta
from typing import Any, override

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.trace import StatusCode

from shared.contracts import ErrorInfo
from shared.errors import ModelRefused
from shared.telemetry import names
from shared.telemetry.attributes import (
    AGENT,
    ATTEMPT,
    CIRCUIT,
    CONTENT,
    ERROR_TYPE,
    FAULT_DOMAIN,
    STEP_ID,
    TASK_ID,
    TOKENS_KIND,
)
from shared.telemetry.otel.adapter import MAX_CONTENT, OpenTelemetry
from shared.telemetry.telemetry import Attributes, Measure
from tests.support.documents import NOW
from tests.support.kept_telemetry import KeptTelemetry

ELSEWHERE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
CANARY = "Kanarienvogel"


def ids(span: ReadableSpan) -> tuple[str, str]:
    """A span's trace and its parent, in hexadecimal; no parent is an empty text."""
    return f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}" if span.parent else ""


def test_a_span_without_a_parent_begins_a_trace() -> None:
    kept = KeptTelemetry()
    with kept.span(names.START_RUN, "content") as span:
        assert kept.traceparent == span.traceparent
    assert kept.traceparent is None
    assert kept.span_named("start_run content").parent is None


def test_a_span_has_the_parent_that_was_carried_to_it() -> None:
    kept = KeptTelemetry()
    with kept.span(names.INVOKE_AGENT, "web", parent=ELSEWHERE):
        pass
    assert ids(kept.span_named("invoke_agent web")) == (ELSEWHERE[3:35], ELSEWHERE[36:52])


def test_what_is_current_is_the_parent_when_it_belongs_to_the_trace_that_was_carried() -> None:
    kept = KeptTelemetry()
    with kept.span(names.START_RUN, "content", parent=ELSEWHERE) as host:
        assert host.traceparent is not None
        with kept.span(names.INVOKE_AGENT, "web", parent=ELSEWHERE):
            pass
    agent = kept.span_named("invoke_agent web")
    assert ids(agent) == (ELSEWHERE[3:35], host.traceparent[36:52])
    assert agent.links == ()


def test_the_runs_trace_wins_over_an_invocation_that_is_in_another_which_is_linked() -> None:
    kept = KeptTelemetry()
    with kept.span(names.START_RUN, "content") as host, kept.span(names.INVOKE_AGENT, "web", parent=ELSEWHERE):
        pass
    agent = kept.span_named("invoke_agent web")
    assert ids(agent) == (ELSEWHERE[3:35], ELSEWHERE[36:52])
    assert [f"{link.context.span_id:016x}" for link in agent.links] == [(host.traceparent or "")[36:52]]


@pytest.mark.parametrize("carried", ["", "00-0-0-00", "x" * 99, ELSEWHERE.replace("b7ad6b7169203331", "0" * 16)])
def test_a_context_that_is_none_is_not_followed(carried: str) -> None:
    kept = KeptTelemetry()
    with kept.span(names.INVOKE_AGENT, "web", parent=carried):
        pass
    assert kept.span_named("invoke_agent web").parent is None


def test_a_span_since_an_earlier_instant_has_the_parent_it_is_given() -> None:
    kept = KeptTelemetry()
    with kept.span(names.START_RUN, "content", parent=ELSEWHERE):
        kept.begin(names.INVOKE_WORKFLOW, "content", parent=ELSEWHERE, since=NOW).end(NOW + timedelta(seconds=2))
    whole = kept.span_named("invoke_workflow content")
    assert ids(whole) == (ELSEWHERE[3:35], ELSEWHERE[36:52])
    assert (whole.start_time, whole.end_time) == (int(NOW.timestamp()) * 10**9, int(NOW.timestamp() + 2) * 10**9)


def test_an_exception_fails_the_span_with_its_type_and_domain_and_not_with_what_it_says() -> None:
    kept = KeptTelemetry()
    with pytest.raises(ModelRefused), kept.span(names.CHAT, "m"):
        raise ModelRefused(CANARY)
    span = kept.span_named("chat m")
    assert span.attributes == {ERROR_TYPE: "ModelRefused", FAULT_DOMAIN: "model"}
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, None)
    assert CANARY not in span.to_json()


def test_a_call_that_is_called_off_is_nobodys_fault_but_the_processs() -> None:
    kept = KeptTelemetry()
    with pytest.raises(asyncio.CancelledError), kept.span(names.CHAT, "m"):
        raise asyncio.CancelledError
    assert (kept.span_named("chat m").attributes or {})[FAULT_DOMAIN] == "process"


def test_the_first_failure_that_is_told_stays() -> None:
    kept = KeptTelemetry()
    with kept.span(names.INVOKE_AGENT, "web") as span:
        span.failed(ErrorInfo(type="ModelRefused", message=CANARY))
        span.failed(ValueError("after"))
    assert (kept.span_named("invoke_agent web").attributes or {})[ERROR_TYPE] == "ModelRefused"


@pytest.mark.parametrize("shown", [True, False])
def test_content_leaves_only_when_it_is_asked_for(shown: bool) -> None:
    kept = KeptTelemetry(shows_content=shown)
    content = dict.fromkeys(CONTENT, CANARY * 10_000)
    with pytest.raises(ModelRefused), kept.span(names.CHAT, "m", attributes=content):
        raise ModelRefused(CANARY)
    attributes = kept.span_named("chat m").attributes or {}
    assert set(CONTENT) & set(attributes) == (set(CONTENT) if shown else set())
    assert (CANARY in kept.span_named("chat m").to_json()) is shown
    assert max(len(str(value)) for value in attributes.values()) <= MAX_CONTENT


def test_what_is_said_of_the_run_is_said_of_the_spans_within_and_of_measures_that_have_room_for_it() -> None:
    kept = KeptTelemetry()
    about: Attributes = {TASK_ID: "run-1", STEP_ID: "web", AGENT: "web", ATTEMPT: 2}
    with kept.span(names.INVOKE_AGENT, "web", attributes=about), kept.span(names.CHAT, "m"):
        kept.record([Measure(names.TOKEN_USAGE, 5, {TOKENS_KIND: "input"})])
    inner = kept.span_named("chat m").attributes
    assert inner == {TASK_ID: "run-1", STEP_ID: "web", AGENT: "web"}
    assert kept.measured() == {names.TOKEN_USAGE.name: [({AGENT: "web", TOKENS_KIND: "input"}, 5)]}


def test_nothing_is_inherited_once_a_span_is_over() -> None:
    kept = KeptTelemetry()
    with kept.span(names.INVOKE_AGENT, "web", attributes={TASK_ID: "run-1"}):
        pass
    with kept.span(names.CHAT, "m"):
        pass
    assert kept.span_named("chat m").attributes == {}


async def test_spans_of_tasks_that_run_at_once_do_not_become_each_others_parents() -> None:
    kept = KeptTelemetry()
    both = asyncio.Barrier(2)

    async def invoke(agent: str) -> None:
        with kept.span(names.INVOKE_AGENT, agent, attributes={AGENT: agent}):
            await both.wait()
            with kept.span(names.CHAT, agent):
                await both.wait()

    await asyncio.gather(invoke("web"), invoke("news"))
    for agent in ("web", "news"):
        inner, outer = kept.span_named(f"chat {agent}"), kept.span_named(f"invoke_agent {agent}")
        assert inner.parent is not None
        assert inner.parent.span_id == outer.context.span_id
        assert (inner.attributes or {})[AGENT] == agent


def test_each_kind_of_instrument_keeps_what_it_is_for() -> None:
    kept = KeptTelemetry()
    for value in (1, 2):
        kept.record(
            [
                Measure(names.COST, value),
                Measure(names.RUN_DURATION, value),
                Measure(names.CIRCUIT_STATE, value, {CIRCUIT: "agent.web", ERROR_TYPE: None}),
            ]
        )
    assert kept.measured() == {
        names.COST.name: [({}, 3)],
        names.RUN_DURATION.name: [({}, 3)],
        names.CIRCUIT_STATE.name: [({CIRCUIT: "agent.web"}, 2)],
    }


class _Broken(SpanProcessor):
    """Somebody's processor, which fails whatever it is told."""

    @override
    def on_start(self, *_: Any) -> None:
        raise RuntimeError("no start")

    @override
    def on_end(self, *_: Any) -> None:
        raise RuntimeError("no end")


def test_a_processor_that_fails_does_not_fail_what_is_traced() -> None:
    tracers = TracerProvider(shutdown_on_exit=False)
    telemetry = OpenTelemetry(tracers, MeterProvider(shutdown_on_exit=False))
    with telemetry.span(names.START_RUN, "content") as begun:
        tracers.add_span_processor(_Broken())
        with telemetry.span(names.INVOKE_AGENT, "web", attributes={AGENT: "web"}) as span:
            span.failed(ModelRefused("no"))
            done = "the work"
    assert (done, span.traceparent) == ("the work", None)
    assert begun.traceparent is not None


def test_a_value_that_no_instrument_takes_does_not_fail_who_measured_it() -> None:
    kept = KeptTelemetry()
    kept.record([Measure(names.TOKEN_USAGE, 10**400, {TOKENS_KIND: "input"})])
    kept.record([Measure(names.TOKEN_USAGE, 7, {TOKENS_KIND: "input"})])
    assert kept.measured()[names.TOKEN_USAGE.name] == [({TOKENS_KIND: "input"}, 7)]
