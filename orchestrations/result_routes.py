"""What a run made, as it is: its result, and the artifacts that its steps kept, in full and with their own type."""

import azure.functions as func
from pydantic import JsonValue, TypeAdapter

from shared.artifacts.references import referred
from shared.artifacts.store import ArtifactStore, folder_of
from shared.errors import Conflict, NotFound
from shared.http import answers_problems
from shared.resources import Resources
from shared.status import run_is_over

_JSON: TypeAdapter[JsonValue] = TypeAdapter(JsonValue)
_BYTES = "application/octet-stream"


def result_routes(resources: Resources) -> func.Blueprint:
    """A blueprint with `GET task/{id}/result` and `GET task/{id}/artifacts/{digest}`."""
    blueprint = func.Blueprint()

    @blueprint.function_name("get_result")
    @blueprint.route("task/{id}/result", methods=["GET"])
    @answers_problems
    async def get_result(req: func.HttpRequest) -> func.HttpResponse:
        task_id = req.route_params["id"]
        record = await resources.store.read_run(task_id)
        if record is None:
            raise NotFound(f"there is no task {task_id[:100]}")
        if not run_is_over(record.run.status):
            raise Conflict(f"task {task_id} is {record.run.status}: it has no result yet")
        return await _answer(record.run.result.result if record.run.result else None, resources.artifacts)

    @blueprint.function_name("get_artifact")
    @blueprint.route("task/{id}/artifacts/{digest}", methods=["GET"])
    @answers_problems
    async def get_artifact(req: func.HttpRequest) -> func.HttpResponse:
        address = f"{folder_of(req.route_params['id'])}/sha256:{req.route_params['digest']}"
        return func.HttpResponse(await resources.artifacts.get(address), mimetype=_BYTES, headers=_SAFE)

    return blueprint


# What a model wrote is shown as text or downloaded; a browser must not take it for a page of this app.
_SAFE = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"}


async def _answer(result: JsonValue, artifacts: ArtifactStore) -> func.HttpResponse:
    """The result by its own type: text as text, everything else as JSON, a reference as what it refers to."""
    reference = referred(result)
    if reference is not None:
        content = await artifacts.get(reference.address)
        return func.HttpResponse(content, mimetype=reference.content_type.partition(";")[0], headers=_SAFE)
    if isinstance(result, str):
        return func.HttpResponse(result, mimetype="text/plain", charset="utf-8", headers=_SAFE)
    return func.HttpResponse(_JSON.dump_json(result), mimetype="application/json", headers=_SAFE)
