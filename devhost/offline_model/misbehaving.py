"""Answers that are wrong on purpose: a completion that is not what was asked for, or a response that is broken."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from aiohttp import web

from devhost.offline_model.chat import Answer, ChatRequest
from devhost.offline_model.faults import FaultRule, Wrong
from devhost.offline_model.prompt import LABEL

HUGE_BYTES: Final = 10 * 1024 * 1024
NOT_IN_ENUM: Final = "none of these"
_PROSE: Final = f"{LABEL} This is not the JSON that was asked for."


def refuse(rule: FaultRule) -> web.Response:
    """The HTTP error that a rule with a `status` asks for."""
    kind = "rate_limit_exceeded" if rule.status == 429 else "server_error"
    body = {"message": f"{LABEL} asked to fail: HTTP {rule.status}", "type": kind, "param": None, "code": None}
    headers = {} if rule.retry_after is None else {"Retry-After": f"{rule.retry_after:g}"}
    return web.json_response({"error": body}, status=rule.status or 500, headers=headers)


def spoilt(answered: Answer, asked: ChatRequest, wrong: Wrong) -> Answer:
    """The answer with its text, or the reason why it ends, made wrong; as it is where its response is to break."""
    match wrong:
        case "empty":
            return replace(answered, text="")
        case "prose":
            return replace(answered, text=_PROSE)
        case "huge":
            return replace(answered, text=f"{LABEL} ".ljust(HUGE_BYTES, "x"))
        case "content_filter":
            return replace(answered, text="", finish_reason="content_filter")
        case "wrong_enum":
            return replace(answered, text=_outside_enums(answered.text, asked))
        case _:
            return answered


async def break_off(request: web.Request, body: bytes, wrong: Wrong) -> web.StreamResponse:
    """Answer with `body` as `half`, `hang_up` or `no_json` have it."""
    if wrong == "no_json":
        return web.Response(body=b"<html>502 Bad Gateway</html>", content_type="application/json")
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(body))})
    if wrong == "half":
        await response.prepare(request)
        await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


def _outside_enums(text: str, asked: ChatRequest) -> str:
    wanted = asked.response_format
    if wanted is None or wanted.json_schema is None:
        return text
    allowed = set(_enum_values(wanted.json_schema.schema_))

    def changed(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: changed(each) for name, each in value.items()}
        if isinstance(value, list):
            return [changed(each) for each in value]
        return NOT_IN_ENUM if isinstance(value, str) and value in allowed else value

    return json.dumps(changed(json.loads(text)), ensure_ascii=False)


def _enum_values(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        yield from (each for each in schema.get("enum", ()) if isinstance(each, str))
        for part in schema.values():
            yield from _enum_values(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _enum_values(part)
