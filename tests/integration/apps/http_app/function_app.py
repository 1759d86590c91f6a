"""HTTP triggers of every kind, for the tests of the host. A stand-alone Functions app."""

import asyncio
import json
import logging
import os
import time
from pathlib import Path
from typing import cast

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


def _json(value: object, status: int = 200) -> func.HttpResponse:
    return func.HttpResponse(json.dumps(value), status_code=status, mimetype="application/json")


@app.route(route="echo")
async def echo(req: func.HttpRequest) -> func.HttpResponse:
    """Every part of the request, as the function sees it."""
    return _json(
        {
            "method": req.method,
            "url": req.url,
            "headers": dict(req.headers),
            "query": dict(req.params),
            "route": dict(req.route_params),
            "body": list(req.get_body()),
        }
    )


@app.route(route="hello", methods=["GET"])
def hello(req: func.HttpRequest) -> str:
    """A `def` function that returns a text."""
    return f"hello {req.params.get('name', 'world')}"


@app.route(route="posts", methods=["POST"])
async def create_post(req: func.HttpRequest) -> func.HttpResponse:
    return _json({"created": req.get_json()}, 201)


@app.route(route="items/{id:int}", methods=["GET"])
async def item_by_number(req: func.HttpRequest) -> func.HttpResponse:
    return _json({"by": "number", "id": req.route_params["id"]})


@app.route(route="items/{name:alpha}", methods=["GET"])
async def item_by_name(req: func.HttpRequest) -> func.HttpResponse:
    return _json({"by": "name", "id": req.route_params["name"]})


@app.route(route="items/special", methods=["GET"])
async def special_item(req: func.HttpRequest) -> func.HttpResponse:
    return _json({"by": "literal"})


@app.route(route="files/{*path}", methods=["GET"])
async def files(req: func.HttpRequest) -> func.HttpResponse:
    return _json({"path": req.route_params.get("path")})


@app.route(route="guarded", auth_level=func.AuthLevel.FUNCTION)
async def guarded(req: func.HttpRequest) -> str:
    return "in"


@app.route(route="locked", auth_level=func.AuthLevel.ADMIN)
async def locked(req: func.HttpRequest) -> str:
    return "in"


@app.route(route="bytes")
async def binary(req: func.HttpRequest) -> func.HttpResponse:
    """The body, back as it came."""
    return func.HttpResponse(req.get_body(), mimetype="application/octet-stream")


@app.route(route="cookies")
async def cookies(req: func.HttpRequest) -> func.HttpResponse:
    response = func.HttpResponse("two cookies")
    response.headers.add("Set-Cookie", "a=1; Path=/; HttpOnly")
    response.headers.add("Set-Cookie", "b=2; Max-Age=60; Secure; SameSite=Lax")
    return response


@app.route(route="status/{code:int}")
async def status(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(status_code=int(req.route_params["code"]), headers={"x-mark": "set"})


@app.route(route="switched-off")
async def switched_off(req: func.HttpRequest) -> str:
    """Disabled by a setting."""
    return "on"


@app.route(route="fail")
async def fail(req: func.HttpRequest) -> str:
    raise ValueError("the secret cause")


@app.route(route="leave")
async def leave(req: func.HttpRequest) -> str:
    raise SystemExit(3)


@app.route(route="nothing-returned")
async def nothing_returned(req: func.HttpRequest) -> str:
    return cast(str, None)


@app.route(route="bad-status")
async def bad_status(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("x", status_code=99)


@app.route(route="slow/{seconds:float}")
async def slow(req: func.HttpRequest) -> str:
    logging.getLogger("app").info("slow began")
    await asyncio.sleep(float(req.route_params["seconds"]))
    return "done"


@app.route(route="slow-thread/{seconds:float}")
def slow_thread(req: func.HttpRequest) -> str:
    logging.getLogger("app").info("slow_thread began")
    time.sleep(float(req.route_params["seconds"]))
    return "done"


@app.route(route="blocking/{seconds:float}")
async def blocking(req: func.HttpRequest) -> str:
    """Holds the event loop, as an app must not."""
    logging.getLogger("app").info("blocking began")
    time.sleep(float(req.route_params["seconds"]))  # noqa: ASYNC251
    return "done"


@app.route(route="where")
async def where(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    return _json(
        {
            "cwd": str(Path.cwd()),
            "setting": os.environ.get("FROM_LOCAL_SETTINGS"),
            "both": os.environ.get("FROM_BOTH"),
            "hostname": os.environ.get("WEBSITE_HOSTNAME"),
            "environment": os.environ.get("AZURE_FUNCTIONS_ENVIRONMENT"),
            "function": context.function_name,
            "invocation": context.invocation_id,
            "trace_parent": context.trace_context.trace_parent,
        }
    )
