"""Watching runs over HTTP."""

import logging

import azure.durable_functions as df
import azure.functions as func
import grpc
from durabletask.client import OrchestrationState, OrchestrationStatus

from orchestrations.health import check_health
from orchestrations.registry import PATTERNS
from orchestrations.task_view import task_view
from shared import names
from shared.contracts import ErrorInfo, RunResult
from shared.ending import advance
from shared.errors import IllegalTransition, NotFound
from shared.http import POLL_AFTER_SECONDS, answers_problems, json_response
from shared.resources import Resources
from shared.state.documents import RunRecord
from shared.status import RunStatus, run_is_over

log = logging.getLogger("muster.runs")


def run_routes(resources: Resources) -> df.Blueprint:
    """A blueprint with `GET task/{id}` and `GET health`."""
    blueprint = df.Blueprint()

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
        headers = {} if run_is_over(record.run.status) else {"Retry-After": POLL_AFTER_SECONDS}
        return json_response(task_view(record), headers=headers)

    @blueprint.function_name("health")
    @blueprint.route("health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
    @answers_problems
    async def health(req: func.HttpRequest) -> func.HttpResponse:
        report = await check_health(resources)
        return json_response(report, status=200 if report.status == "ok" else 503)

    return blueprint


async def _reconciled(record: RunRecord, client: df.DurableFunctionsClient, resources: Resources) -> RunRecord:
    """The record, after it was told of an orchestration that ended without saying so, as a terminated one does.

    What is recorded can be shown without the task hub, so that one that does not answer takes nothing away.
    Raises what `StateStore` raises.
    """
    if run_is_over(record.run.status) or record.run.type not in PATTERNS:
        return record
    cancelling = record.run.status is RunStatus.CANCELLING
    instance = names.cancel_instance(record.run.task_id) if cancelling else record.run.task_id
    try:
        state = await client.get_orchestration_state(instance)
    except grpc.aio.AioRpcError as error:
        log.warning("run %s is shown as recorded: the task hub did not answer: %s", record.run.task_id, error.code())
        return record
    result = _result_of_ended(state, record.run.status)
    if result is None:
        return record
    ended = RunStatus.CANCELLED if cancelling else RunStatus(result.status)
    result = result.model_copy(update={"status": ended})
    try:
        run = await advance(record.run.task_id, ended, resources, result=result)
    except IllegalTransition:
        # The orchestration recorded its own end since the record was read.
        return await resources.store.read_run(record.run.task_id) or record
    return record.model_copy(update={"run": run})


def _result_of_ended(state: OrchestrationState | None, recorded: RunStatus) -> RunResult | None:
    """What became of an orchestration that can say nothing any more; None while it may still go on."""
    if state is None:
        # A run is recorded before its orchestration is scheduled, but only the orchestration says that it is running.
        # One that is being cancelled waits for whoever cancels it to ask again.
        if recorded in (RunStatus.PENDING, RunStatus.CANCELLING):
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
