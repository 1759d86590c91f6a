"""What leaves as metrics is what the runs' records say, and nothing that a model or a person wrote leaves with it."""

import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from aiohttp import web
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient

from devhost.offline_model.json_schema import minimal_instance
from scripts.pattern_demo import EXAMPLES
from shared.names import START_QUEUE, agent_queue
from shared.telemetry import names
from shared.telemetry.attributes import (
    AGENT,
    CONTENT,
    COST_USD,
    ERROR_TYPE,
    EXCEPTION_MESSAGE,
    FAULT_DOMAIN,
    INPUT_MESSAGES,
    INPUT_TOKENS,
    MESSAGING_DESTINATION,
    OUTPUT_MESSAGES,
    OUTPUT_TOKENS,
    PATTERN,
    STATUS,
    SYSTEM_INSTRUCTIONS,
    TASK_ID,
)
from tests.support.chat_model import ChatModel, chat_model
from tests.support.eventually import eventually
from tests.support.muster_host import MusterHost, muster_host
from tests.support.otlp_receiver import OtlpReceiver, otlp_receiver

CANARY = "Kanarienvogel"


class SeededModel(ChatModel):
    """Uses other tokens each time, fails its second call in a way that another may not, and says the canary always."""

    async def complete(self, request: web.Request) -> web.Response:
        """`POST /v1/chat/completions`."""
        asked = json.loads(await request.read())
        self.requests.append(asked)
        number = len(self.requests)
        if number == 2:
            error = {"error": {"message": f"{CANARY} in a body", "type": "server_error"}}
            return web.json_response(error, status=503, headers={"retry-after": "0.1"})
        if "refuse" in json.dumps(asked):
            error = {"error": {"message": f"not about {CANARY}", "type": "invalid_request_error"}}
            return web.json_response(error, status=400)
        usage = {"prompt_tokens": 100 * number, "completion_tokens": 7 * number, "total_tokens": 107 * number}
        body = {"id": "c", "object": "chat.completion", "created": 0, "model": asked["model"], "usage": usage}
        message = {"role": "assistant", "content": f"# Title\n\n{CANARY} {number}"}
        return web.json_response({**body, "choices": [{"index": 0, "finish_reason": "stop", "message": message}]})


@asynccontextmanager
async def traced_host(folder: Path, otlp: OtlpReceiver, *arguments: str, **settings: str) -> AsyncIterator[MusterHost]:
    """A host with a seeded model whose price is known, that exports to `otlp`; all has come when this is left."""
    given = {
        "MUSTER_MODEL_NAME": "gpt-5-mini",
        "OTEL_EXPORTER_OTLP_ENDPOINT": otlp.url,
        **settings,
    }
    async with (
        chat_model(SeededModel()) as model,
        muster_host(folder, model_url=model.url, arguments=arguments, settings=given) as host,
    ):
        yield host


async def ran(host: MusterHost, request: dict[str, Any]) -> dict[str, Any]:
    """The run of one request, once it is over."""
    status, body, _ = await host.post("/api/workflows/sequential", json.dumps(request).encode())
    assert status == 202, body
    return await host.finished(body["task_id"])


async def test_the_metrics_of_a_run_equal_what_its_record_says(tmp_path: Path) -> None:
    with otlp_receiver() as otlp:
        async with traced_host(tmp_path, otlp) as host:
            task = await ran(host, {"agents": ["research", "writer", "editor"], "request": "tides"})
        assert task["status"] == "completed", task
        steps = {step["agent"]: step for step in task["steps"]}
        assert {agent: len(step["attempts"]) for agent, step in steps.items()} == {
            "research": 0,
            "writer": 1,
            "editor": 0,
        }
        for agent, step in steps.items():
            usage = step["usage"]
            assert (
                otlp.total(names.TOKEN_USAGE.name, muster__agent=agent, gen_ai__token__type="input")
                == (usage["input_tokens"])
            )
            assert (
                otlp.total(names.TOKEN_USAGE.name, muster__agent=agent, gen_ai__token__type="output")
                == (usage["output_tokens"])
            )
            assert math.isclose(otlp.total(names.COST.name, muster__agent=agent), usage["cost_usd"], abs_tol=1e-9)
            assert otlp.total(names.RETRIES.name, muster__agent=agent) == len(step["attempts"])
            assert otlp.count(names.STEP_DURATION.name, muster__agent=agent, muster__status="succeeded") == 1
            measured = otlp.total(names.STEP_DURATION.name, muster__agent=agent)
            assert math.isclose(measured, step["run_seconds"], abs_tol=1e-4)
            waited = otlp.total(names.STEP_QUEUE_WAIT.name, muster__agent=agent)
            assert math.isclose(waited, step["queue_seconds"], abs_tol=1e-4)
        assert otlp.total(names.COST.name) > 0
        [retry] = otlp.latest(names.RETRIES.name)
        assert retry.attributes == {
            AGENT: "writer",
            ERROR_TYPE: "ModelUnavailable",
            FAULT_DOMAIN: "model",
        }
        [whole] = otlp.latest(names.RUN_DURATION.name)
        assert (whole.count, whole.unit) == (1, "s")
        assert whole.attributes == {PATTERN: "sequential", STATUS: "completed"}
        [span] = otlp.named("invoke_workflow sequential")
        assert span.attributes[INPUT_TOKENS] == task["usage"]["input_tokens"]
        assert span.attributes[OUTPUT_TOKENS] == task["usage"]["output_tokens"]
        assert span.attributes[COST_USD] == task["usage"]["cost_usd"]
        assert math.isclose(span.seconds, whole.value, abs_tol=1e-5)
        assert span.seconds == seconds_between(task["created_at"], task["completed_at"])


def check_the_names(otlp: OtlpReceiver, *, shown: bool) -> None:
    """Nothing of the app is emitted that the tables do not have, nor otherwise than they say."""
    kinds = {span.template.partition(" ")[0]: span for span in names.SPANS}
    for span in otlp.spans:
        if span.scope == names.SERVICE:
            table = kinds[span.name.partition(" ")[0]]
            assert span.kind == table.kind, span
            assert set(span.attributes) <= set(table.attributes) - (set() if shown else CONTENT), span
            assert (span.status_message, span.events) == ("", ()), span
    metrics = {metric.name: metric for metric in names.METRICS}
    for point in otlp.points:
        assert point.unit == metrics[point.metric].unit, point
        assert set(point.attributes) <= set(metrics[point.metric].attributes), point


def seconds_between(begun: str, ended: str) -> float:
    """The seconds between two instants of a record."""
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(begun)).total_seconds()


FAILING = {"agents": ["research", "writer", "editor"], "request": f"refuse {CANARY}"}


async def test_nothing_that_was_asked_or_answered_leaves_unless_it_is_wanted(tmp_path: Path) -> None:
    """Prompts, answers, inputs, outputs, and the messages of errors, which quote a model's own words."""
    with otlp_receiver() as otlp:
        async with traced_host(tmp_path, otlp) as host:
            written = await ran(host, {"agents": ["research", "writer"], "request": f"tides and a {CANARY}"})
            refused = await ran(host, FAILING)
        assert CANARY in json.dumps(written["result"])
        assert CANARY in refused["error"]["message"]
        assert otlp.with_attributes(error__type="ModelRefused", muster__fault_domain="model")
        assert otlp.spans
        assert otlp.points
        assert not otlp.holds(CANARY)
        check_the_names(otlp, shown=False)


class CanaryModel(ChatModel):
    """Says the canary in every answer, in the form that is asked for."""

    def say(self, asked: dict[str, Any]) -> str:
        """The least that fits where a schema is asked for, with the canary for its texts."""
        if wanted := asked.get("response_format"):
            return json.dumps(minimal_instance(wanted["json_schema"]["schema"], CANARY))
        return f"# {CANARY}"


async def test_whatever_the_pattern_and_whatever_is_refused_no_text_leaves(tmp_path: Path) -> None:
    """Also not by the spans of the host, and not out of messages and requests that are refused."""
    nonsense = json.dumps({"agents": [CANARY], "request": CANARY, CANARY: 1}).encode()
    with otlp_receiver() as otlp:
        given = {"OTEL_EXPORTER_OTLP_ENDPOINT": otlp.url, "OTEL_METRIC_EXPORT_INTERVAL": "500"}
        async with (
            chat_model(CanaryModel()) as model,
            muster_host(tmp_path, model_url=model.url, settings=given) as host,
        ):
            for pattern, example in EXAMPLES.items():
                asked = json.dumps(example.asking(CANARY)).encode()
                status, body, _ = await host.post(f"/api/workflows/{pattern}", asked)
                assert status == 202, body
                await host.finished(body["task_id"])
            assert (await host.post("/api/workflows/sequential", nonsense))[0] == 400
            for queue in (agent_queue("writer"), START_QUEUE):
                await send(host, queue, nonsense)
            await eventually(lambda: otlp.total(names.DEAD_LETTERS.name) == 2, within=90)
        assert {span.attributes[PATTERN] for span in otlp.spans if span.name.startswith("invoke_workflow")} == (
            set(EXAMPLES)
        )
        assert not otlp.holds(CANARY), [str(span) for span in otlp.spans if CANARY in str(span)]
        check_the_names(otlp, shown=False)


async def send(host: MusterHost, queue: str, body: bytes) -> None:
    """Put one message on a queue."""
    client = ServiceBusClient.from_connection_string(host.connection_string)
    async with client, client.get_queue_sender(queue) as sender:
        await sender.send_messages(ServiceBusMessage(body))


async def test_what_was_asked_and_answered_leaves_when_it_is_wanted(tmp_path: Path) -> None:
    wanted = {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "true"}
    with otlp_receiver() as otlp:
        async with traced_host(tmp_path, otlp, **wanted) as host:
            await ran(host, {"agents": ["writer"], "request": f"tides and a {CANARY}"})
            await ran(host, {"agents": ["writer"], "request": f"refuse {CANARY}"})
        first = otlp.named("chat gpt-5-mini")[0].attributes
        assert CANARY in first[INPUT_MESSAGES]
        assert CANARY in first[OUTPUT_MESSAGES]
        assert json.loads(first[SYSTEM_INSTRUCTIONS])[0]["type"] == "text"
        assert any(CANARY in str(span.attributes.get(EXCEPTION_MESSAGE)) for span in otlp.spans)
        assert not [point for point in otlp.points if CANARY in str(point.attributes)]
        check_the_names(otlp, shown=True)


async def test_each_message_that_is_given_up_is_counted_once_and_its_replay_stays_in_its_trace(tmp_path: Path) -> None:
    with otlp_receiver() as otlp:
        async with traced_host(tmp_path, otlp) as host:
            task = await ran(host, {"agents": ["writer"], "request": "refuse"})
            letters = await dead_letters(host)
            assert [letter["run"]["id"] for letter in letters] == [task["id"]]
            body = json.dumps({"ids": [letters[0]["id"]], "restart": True}).encode()
            status, answer, _ = await host.post("/api/dead-letters/replay", body)
            assert status == 200, answer
            again = await host.finished(answer["results"][0]["run"])
            assert [letter["run"]["id"] for letter in await dead_letters(host)] == [again["id"]]
        [begun] = otlp.with_attributes(muster__task_id=task["id"], muster__pattern="sequential")[:1]
        [restarted] = [span for span in otlp.named("start_run sequential") if span.attributes[TASK_ID] == again["id"]]
        assert restarted.trace_id == begun.trace_id
        [counted] = otlp.latest(names.DEAD_LETTERS.name)
        assert counted.value == 2
        assert counted.attributes == {
            MESSAGING_DESTINATION: agent_queue("writer"),
            AGENT: "writer",
            ERROR_TYPE: "ModelRefused",
            FAULT_DOMAIN: "model",
        }


async def dead_letters(host: MusterHost) -> list[dict[str, Any]]:
    """The dead letters, once there are any."""

    async def found() -> list[dict[str, Any]]:
        _, page = await host.get("/api/dead-letters")
        letters: list[dict[str, Any]] = page["dead_letters"]
        return letters

    return await eventually(found, within=20)
