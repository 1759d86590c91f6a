"""The app with one more route: the history of an orchestration, event by event, for `tests.replay.record`."""

import importlib.util
import json
from pathlib import Path

import azure.durable_functions as df
import azure.functions as func
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.json_format import MessageToDict

ROOT = Path(__file__).parents[3]


def the_app() -> df.DFApp:
    """The app itself, from the file whose name this one bears."""
    spec = importlib.util.spec_from_file_location("muster_app", ROOT / "function_app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made: df.DFApp = module.app
    return made


app = the_app()


@app.route("history", methods=["GET"])
@app.durable_client_input(client_name="client")
async def history(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """`GET history?instance=`: its events as protobuf JSON."""
    asked = pb.StreamInstanceHistoryRequest(instanceId=req.params["instance"])
    events = [
        MessageToDict(event)
        async for chunk in client._get_stub().StreamInstanceHistory(asked)
        for event in chunk.events
    ]
    return func.HttpResponse(json.dumps(events), mimetype="application/json")
