"""The offline model's addresses: `POST /v1/chat/completions` and `GET /v1/models`. Any key is taken, or none."""

import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from aiohttp import web
from pydantic import ValidationError

from devhost.clock import Clock
from devhost.offline_model.chat import MODEL, Answer, ChatRequest, answer
from devhost.offline_model.json_schema import UnsatisfiableSchemaError

PATH: Final = "/v1"


class OfflineModelApi:
    """Answers after `delay`, so that an app can be watched waiting for its model."""

    def __init__(self, clock: Clock, delay: timedelta = timedelta(0)) -> None:
        self._clock = clock
        self._delay = delay

    def routes(self) -> Iterable[web.RouteDef]:
        """The routes to serve."""
        yield web.post(f"{PATH}/chat/completions", self._complete)
        yield web.get(f"{PATH}/models", self._models)

    async def _models(self, _: web.Request) -> web.Response:
        model = {"id": MODEL, "object": "model", "created": 0, "owned_by": "devhost"}
        return web.json_response({"object": "list", "data": [model]})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        try:
            asked = ChatRequest.model_validate_json(await request.read())
            answered = answer(asked)
        except ValidationError as invalid:
            return _refused(invalid)
        except UnsatisfiableSchemaError as impossible:
            return _error(f"Invalid schema for response_format: {impossible}", "response_format")
        await self._clock.sleep_until(self._clock.now() + self._delay)
        created = int(self._clock.now().timestamp())
        if not asked.stream:
            return web.json_response(answered.completion(created))
        wants_usage = asked.stream_options is not None and asked.stream_options.include_usage
        return await _stream(request, answered, created, include_usage=wants_usage)


async def _stream(request: web.Request, answered: Answer, created: int, *, include_usage: bool) -> web.StreamResponse:
    """Server-sent events, one for each chunk, and `[DONE]`."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    await response.prepare(request)
    for chunk in answered.chunks(created, include_usage=include_usage):
        await response.write(f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode())
    await response.write(b"data: [DONE]\n\n")
    await response.write_eof()
    return response


def _refused(invalid: ValidationError) -> web.Response:
    first = invalid.errors(include_url=False, include_context=False, include_input=False)[0]
    parameter = ".".join(str(step) for step in first["loc"] if step != "str") or None
    if first["type"] == "json_invalid":
        return _error(f"We could not parse the JSON body of your request: {first['msg']}", None)
    if first["type"] == "extra_forbidden":
        return _error(f"Unrecognized request argument supplied: {parameter}", parameter)
    return _error(f"Invalid value for '{parameter}': {first['msg']}", parameter)


def _error(message: str, parameter: str | None) -> web.Response:
    body = {"message": message, "type": "invalid_request_error", "param": parameter, "code": None}
    return web.json_response({"error": body}, status=400)
