"""Cancelling a run over HTTP."""

import azure.durable_functions as df
import azure.functions as func

from orchestrations.cancelling import cancel
from orchestrations.durable import DurableOrchestrations
from shared.http import POLL_AFTER_SECONDS, answers_problems, json_response
from shared.resources import Resources
from shared.status import run_is_over


def add_cancel_routes(blueprint: df.Blueprint, resources: Resources) -> None:
    """Add `POST task/{id}/cancel`."""

    @blueprint.function_name("cancel_task")
    @blueprint.route("task/{id}/cancel", methods=["POST"])
    @blueprint.durable_client_input(client_name="client")
    @answers_problems
    async def cancel_task(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
        run = await cancel(req.route_params["id"], orchestrations=DurableOrchestrations(client), resources=resources)
        body = {"task_id": run.task_id, "status": run.status}
        if run_is_over(run.status):
            return json_response(body)
        return json_response(body, status=202, headers={"Retry-After": POLL_AFTER_SECONDS})
