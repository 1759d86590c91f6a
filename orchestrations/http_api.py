"""Starting runs and watching them over HTTP."""

import logging
from collections.abc import Mapping
from urllib.parse import quote, urljoin

import azure.durable_functions as df
import azure.functions as func
import grpc
from durabletask.client import OrchestrationState, OrchestrationStatus
from pydantic import JsonValue

from orchestrations.content import CreateContent, content_request
from orchestrations.health import check_health
from orchestrations.starter import start_sequential
from orchestrations.task_view import task_view
from shared import names
from shared.contracts import AgentCard, ErrorInfo, RunResult
from shared.errors import IllegalTransition, NotFound, TaskHubUnavailable
from shared.http import answers_problems, json_response, read_body
from shared.resources import Resources
from shared.state.documents import RunRecord
from shared.status import RunStatus, run_is_over

_POLL_AFTER_SECONDS = "1"

log = logging.getLogger("muster.runs")


def run_routes(agents: Mapping[str, AgentCard], resources: Resources) -> df.Blueprint:
    """A blueprint with `POST create-content`, `GET task/{id}` and `GET health`."""
    blueprint = df.Blueprint()

    @blueprint.function_name("create_content")
    @blueprint.route("create-content", methods=["POST"])
    @blueprint.durable_client_input(client_name="client")
    @answers_problems
    async def create_content(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
        request = content_request(read_body(req, CreateContent), agents)
        run = await start_sequential(
            names.CONTENT_PIPELINE,
            request,
            orchestrations=DurableOrchestrations(client),
            resources=resources,
            idempotency_key=req.headers.get("idempotency-key"),
        )
        location = urljoin(req.url, f"task/{quote(run.task_id)}")
        body = {
            "task_id": run.task_id,
            "status": "started",
            "workflow": run.type,
            "steps": [step.name for step in run.plan],
            "message": f"The content pipeline has started. Watch it at {location}.",
        }
        return json_response(body, status=202, headers={"Location": location, "Retry-After": _POLL_AFTER_SECONDS})

    @blueprint.function_name("get_task")
    @blueprint.route("task/{id}", methods=["GET"])
    @blueprint.durable_client_input(client_name="client")
    @answers_problems
    async def get_task(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
        task_id = req.route_params["id"]
        record = await resources.store.read_run(task_id)
        if record is None:
            raise NotFound(f"there is no task {task_id[:100]}")
        record = await _reconciled(record, client, resources)
        headers = {} if run_is_over(record.run.status) else {"Retry-After": _POLL_AFTER_SECONDS}
        return json_response(task_view(record), headers=headers)

    @blueprint.function_name("health")
    @blueprint.route("health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
    @answers_problems
    async def health(req: func.HttpRequest) -> func.HttpResponse:
        report = await check_health(resources)
        return json_response(report, status=200 if report.status == "ok" else 503)

    return blueprint


class DurableOrchestrations:
    """The durable client, seen as what `starter` needs. Its methods raise `TaskHubUnavailable`."""

    def __init__(self, client: df.DurableFunctionsClient) -> None:
        self._client = client

    async def exists(self, instance_id: str) -> bool:
        """Whether there is an orchestration with this id."""
        try:
            return await self._client.get_orchestration_state(instance_id, fetch_payloads=False) is not None
        except grpc.aio.AioRpcError as error:
            raise TaskHubUnavailable(f"the task hub did not answer: {error.details()}") from error

    async def schedule(self, orchestrator: str, instance_id: str, given: JsonValue) -> None:
        """Schedule one, unless a request with the same key has done so a moment ago."""
        try:
            await self._client.schedule_new_orchestration(orchestrator, input=given, instance_id=instance_id)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.ALREADY_EXISTS:
                raise TaskHubUnavailable(f"the task hub did not answer: {error.details()}") from error


async def _reconciled(record: RunRecord, client: df.DurableFunctionsClient, resources: Resources) -> RunRecord:
    """The record, after it was told of an orchestration that ended without saying so, as a terminated one does.

    What is recorded can be shown without the task hub, so that one that does not answer takes nothing away.
    Raises what `StateStore` raises.
    """
    if run_is_over(record.run.status) or record.run.type != names.ORCHESTRATOR_SEQUENTIAL:
        return record
    try:
        state = await client.get_orchestration_state(record.run.task_id)
    except grpc.aio.AioRpcError as error:
        log.warning("run %s is shown as recorded: the task hub did not answer: %s", record.run.task_id, error.details())
        return record
    result = _result_of_ended(state, record.run.status)
    if result is None:
        return record
    ended = RunStatus(result.status)
    try:
        run = await resources.store.advance_run(record.run.task_id, ended, now=resources.clock.now(), result=result)
    except IllegalTransition:
        # The orchestration recorded its own end since the record was read.
        return await resources.store.read_run(record.run.task_id) or record
    return record.model_copy(update={"run": run})


def _result_of_ended(state: OrchestrationState | None, recorded: RunStatus) -> RunResult | None:
    """What became of an orchestration that can say nothing any more; None while it may still go on."""
    if state is None:
        # A run is recorded before its orchestration is scheduled, but only the orchestration says that it is running.
        if recorded is RunStatus.PENDING:
            return None
        lost = ErrorInfo(type="OrchestrationLost", message="its orchestration is no longer known to the task hub")
        return RunResult(status=RunStatus.FAILED, error=lost)
    match state.runtime_status:
        case OrchestrationStatus.FAILED:
            cause = state.failure_details.message if state.failure_details else "its orchestration failed"
            return RunResult(status=RunStatus.FAILED, error=ErrorInfo(type="OrchestrationEnded", message=cause))
        case OrchestrationStatus.TERMINATED:
            ended = ErrorInfo(type="OrchestrationEnded", message="its orchestration was terminated")
            return RunResult(status=RunStatus.CANCELLED, error=ended)
        case _:
            return None
