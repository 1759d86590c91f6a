"""A run of each pattern is one connected trace, whether the host emits spans of its own, as in Azure, or none."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from scripts.pattern_demo import EXAMPLES
from tests.support.muster_host import MusterHost, muster_host
from tests.support.otlp_receiver import OtlpReceiver, Span, otlp_receiver
from tests.support.span_tree import broken, drawn, way

CLIENT, CLIENT_SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def settings(otlp: OtlpReceiver) -> dict[str, str]:
    """The local host's offline model, and telemetry that comes soon."""
    return {
        "MUSTER_MODEL_BASE_URL": "",
        "OTEL_EXPORTER_OTLP_ENDPOINT": otlp.url,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_METRIC_EXPORT_INTERVAL": "500",
    }


async def ran(host: MusterHost, pattern: str, request: dict[str, Any], **headers: str) -> dict[str, Any]:
    """The run of one request, once it is over."""
    status, body, _ = await host.post(f"/api/workflows/{pattern}", json.dumps(request).encode(), headers=headers)
    assert status == 202, body
    return await host.finished(body["task_id"])


def trace_of(otlp: OtlpReceiver, task_id: str) -> list[Span]:
    """All spans of the trace that a run's start belongs to."""
    [start] = [span for span in otlp.with_attributes(muster__task_id=task_id) if span.name.startswith("start_run ")]
    return otlp.trace(start.trace_id)


def check_the_ways(trace: Sequence[Span], task: dict[str, Any], *, hosted: bool) -> None:
    """Each step that ran has a span, under the one that sent it; what it asked and answered is under it."""
    agents = {span.attributes["muster.step_id"]: span for span in trace if span.name.startswith("invoke_agent ")}
    assert set(agents) == {step["step_id"] for step in task["steps"] if step["started_at"]}, drawn(trace)
    for step_id, span in agents.items():
        queue = "agent-events" if task["type"] == "event-driven" else f"{span.attributes['muster.agent']}-tasks"
        expected = [f"send {queue}", *(["ServiceBusProcessor.ProcessMessage"] if hosted else []), span.name]
        names = way(trace, span)
        assert names[-len(expected) :] == expected, drawn(trace)
        assert names[1 if hosted else 0] == f"start_run {task['workflow']}", drawn(trace)
        below = {each.name for each in trace if each.parent_id == span.span_id}
        assert f"reply {span.attributes['muster.agent']}" in below, (step_id, below)
    [whole] = [span for span in trace if span.name.startswith("invoke_workflow ")]
    assert way(trace, whole)[-2:] == [f"start_run {task['workflow']}", whole.name]
    assert all("muster.task_id" in span.attributes for span in trace if span.scope == "muster"), drawn(trace)


@pytest.mark.parametrize("hosted", [True, False], ids=["with the host's spans", "without"])
async def test_a_run_of_each_pattern_is_one_connected_trace(tmp_path: Path, hosted: bool) -> None:
    arguments = [] if hosted else ["--no-host-spans"]
    tasks = {}
    with otlp_receiver() as otlp:
        async with muster_host(tmp_path, model_url="", arguments=arguments, settings=settings(otlp)) as host:
            for pattern, example in EXAMPLES.items():
                tasks[pattern] = await ran(host, pattern, example.asking(None))
        for task in tasks.values():
            assert task["status"] in ("completed", "partial"), task
            trace = trace_of(otlp, task["id"])
            assert broken(trace) == [], drawn(trace)
            check_the_ways(trace, task, hosted=hosted)
        assert {span.name.split()[0] for span in otlp.spans if span.scope == "muster"} == {
            *("start_run", "send", "invoke_agent", "chat", "reply", "invoke_workflow")
        }


@pytest.mark.parametrize("arguments", [[], ["--no-host-spans"]], ids=["with the host's spans", "without"])
async def test_a_run_belongs_to_the_trace_of_who_asked_for_it(tmp_path: Path, arguments: list[str]) -> None:
    with otlp_receiver() as otlp:
        async with muster_host(tmp_path, model_url="", arguments=arguments, settings=settings(otlp)) as host:
            carried = f"00-{CLIENT}-{CLIENT_SPAN}-01"
            await ran(host, "sequential", {"agents": ["writer"], "request": "a poem"}, traceparent=carried)
        trace = otlp.trace(CLIENT)
        assert broken(trace, outside=CLIENT_SPAN) == [], drawn(trace)
        assert "invoke_agent writer" in {span.name for span in trace}
