"""Starting runs over HTTP: any pattern under its own name, and the ready-made workflows."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote, urljoin

import azure.durable_functions as df
import azure.functions as func

from orchestrations.content import CreateContent, content_request
from orchestrations.durable import DurableOrchestrations
from orchestrations.nodes import PatternRequest
from orchestrations.registry import PATTERNS, pattern
from orchestrations.research import RESEARCHERS, ResearchParallel, research_request
from orchestrations.starter import start_run
from shared import names
from shared.cards import AgentCard
from shared.http import POLL_AFTER_SECONDS, answers_problems, json_response, read_body
from shared.resources import Resources
from shared.state.documents import RunDocument

type Start = Callable[
    [func.HttpRequest, df.DurableFunctionsClient, PatternRequest, str | None], Awaitable[tuple[RunDocument, str]]
]
"""Starts the run that was asked for, under a name if it has one besides its pattern's; the run and where it is."""


def start_routes(agents: Mapping[str, AgentCard], resources: Resources) -> df.Blueprint:
    """A blueprint with `POST workflows/{pattern}`, `GET workflows`, and the ready-made workflows."""
    blueprint = df.Blueprint()

    async def start(
        req: func.HttpRequest, client: df.DurableFunctionsClient, request: PatternRequest, workflow: str | None
    ) -> tuple[RunDocument, str]:
        run = await start_run(
            request,
            agents=agents,
            orchestrations=DurableOrchestrations(client),
            resources=resources,
            workflow=workflow,
            idempotency_key=req.headers.get("idempotency-key"),
            traceparent=req.headers.get(names.TRACEPARENT),
        )
        return run, urljoin(req.url, f"{_up(req)}task/{quote(run.task_id)}")

    _add_patterns(blueprint, start)
    _add_ready_made(blueprint, start)
    return blueprint


def _add_patterns(blueprint: df.Blueprint, start: Start) -> None:
    @blueprint.function_name("start_workflow")
    @blueprint.route("workflows/{pattern}", methods=["POST"])
    @blueprint.durable_client_input(client_name="client")
    @answers_problems
    async def start_workflow(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
        chosen = pattern(req.route_params["pattern"])
        run, location = await start(req, client, read_body(req, chosen.request), None)
        return _started(run, location, f"The run has started. Watch it at {location}.", steps=_steps(run))

    @blueprint.function_name("list_workflows")
    @blueprint.route("workflows", methods=["GET"])
    @answers_problems
    async def list_workflows(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001
        return json_response({"workflows": [each.description() for each in PATTERNS.values()]})


def _add_ready_made(blueprint: df.Blueprint, start: Start) -> None:
    @blueprint.function_name("create_content")
    @blueprint.route("create-content", methods=["POST"])
    @blueprint.durable_client_input(client_name="client")
    @answers_problems
    async def create_content(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
        request = content_request(read_body(req, CreateContent))
        run, location = await start(req, client, request, names.CONTENT_PIPELINE)
        message = f"The content pipeline has started. Watch it at {location}."
        return _started(run, location, message, steps=_steps(run))

    @blueprint.function_name("research_parallel")
    @blueprint.route("research-parallel", methods=["POST"])
    @blueprint.durable_client_input(client_name="client")
    @answers_problems
    async def research_parallel(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
        request = research_request(read_body(req, ResearchParallel))
        run, location = await start(req, client, request, names.PARALLEL_RESEARCH)
        message = f"The research has started. Watch it at {location}."
        return _started(run, location, message, agents_dispatched=list(RESEARCHERS))


def _up(req: func.HttpRequest) -> str:
    """From the route's own address to its folder's: `workflows/{pattern}` lies one deeper than the others."""
    return "../" if "pattern" in req.route_params else ""


def _steps(run: RunDocument) -> list[str]:
    return [step.name for step in run.plan]


def _started(run: RunDocument, location: str, message: str, **facts: Any) -> func.HttpResponse:
    body = {"task_id": run.task_id, "status": "started", "workflow": run.type, **facts, "message": message}
    return json_response(body, status=202, headers={"Location": location, "Retry-After": POLL_AFTER_SECONDS})
