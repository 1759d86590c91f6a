"""The HTTP door: bodies in through a contract, answers out as JSON, errors as problem details (RFC 9457).

A problem's `type` is a stable name that a client may branch on. Nothing of the inside leaks: an unforeseen
exception is logged in full and answered with a bare 500.
"""

import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Any

import azure.functions as func
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from shared.errors import Conflict, InvalidRequest, MusterError, NotFound, RetryableError

MAX_BODY_BYTES = 64 * 1024
PROBLEM_CONTENT = "application/problem+json"
POLL_AFTER_SECONDS = "1"
"""How long a client is asked to wait before it looks at a run again."""
_FIELDS_NAMED = 10
# The function key, and the name of its key, may be in the query.
_PLATFORM_PARAMETERS = ("code", "clientId")
# A check over several fields says itself which one is to blame.
_NAMED = re.compile(r"Value error, ([a-z_]+(?:\.[a-z0-9_]+)*): (.*)", re.DOTALL)

log = logging.getLogger("muster.http")


class Problem(MusterError):
    """An answer that is an error: `kind` ends the problem's `type`, `extra` adds members such as `field`."""

    def __init__(self, status: int, kind: str, title: str, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.status, self.kind, self.title, self.detail, self.extra = status, kind, title, detail, extra

    def response(self) -> func.HttpResponse:
        """The problem as an HTTP response."""
        body = {
            "type": f"urn:muster:problem:{self.kind}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            **self.extra,
        }
        return func.HttpResponse(json.dumps(body), status_code=self.status, mimetype=PROBLEM_CONTENT)


def json_response(body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> func.HttpResponse:
    """A JSON answer; pydantic values inside are dumped."""
    text = json.dumps(body, default=_jsonable)
    return func.HttpResponse(text, status_code=status, headers=dict(headers or {}), mimetype="application/json")


def read_body[M: BaseModel](request: func.HttpRequest, contract: type[M]) -> M:
    """The request's body as `contract`. Raises `Problem` 413, 415 or 400, the last with the field's name."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        named = f"is {content_type}" if content_type else "is missing"
        detail = f"the header Content-Type {named[:200]}: send application/json"
        raise Problem(415, "unsupported-media-type", "Unsupported media type", detail)
    body = request.get_body()
    if len(body) > MAX_BODY_BYTES:
        raise Problem(413, "body-too-large", "Body too large", f"a body may have at most {MAX_BODY_BYTES} bytes")
    try:
        return contract.model_validate_json(body)
    except ValidationError as error:
        raise _invalid(error) from None


def read_query[M: BaseModel](request: func.HttpRequest, contract: type[M]) -> M:
    """The request's query as `contract`; the platform's own parameters are left out. Raises `Problem` 400."""
    given = {name: value for name, value in request.params.items() if name not in _PLATFORM_PARAMETERS}
    try:
        return contract.model_validate(given)
    except ValidationError as error:
        raise _invalid(error) from None


def answers_problems[**P](
    handler: Callable[P, Awaitable[func.HttpResponse]],
) -> Callable[P, Awaitable[func.HttpResponse]]:
    """Wrap an HTTP function so that every error of the app is answered as problem details."""

    @wraps(handler)
    async def answered(*args: P.args, **kwargs: P.kwargs) -> func.HttpResponse:
        try:
            return await handler(*args, **kwargs)
        except Problem as problem:
            return problem.response()
        except MusterError as error:
            return _as_problem(error).response()
        except Exception:
            log.exception("an HTTP function failed")
            return Problem(500, "internal", "Internal error", "the request could not be handled").response()

    return answered


def _as_problem(error: MusterError) -> Problem:
    match error:
        case InvalidRequest():
            extra = {"field": error.field} if error.field else {}
            return Problem(400, "invalid-request", "Invalid request", str(error), **extra)
        case NotFound():
            return Problem(404, "not-found", "Not found", str(error))
        case Conflict():
            return Problem(409, "conflict", "Conflict", str(error))
        case RetryableError():
            log.warning("answered 503: %s", error)
            return Problem(503, "unavailable", "Temporarily unavailable", "a service this app needs did not answer")
        case _:
            log.error("answered 500: %s: %s", type(error).__name__, error)
            return Problem(500, "internal", "Internal error", "the request could not be handled")


def _invalid(error: ValidationError) -> Problem:
    first, *others = error.errors(include_url=False, include_input=False)
    if first["type"] == "json_invalid":
        reason = first["msg"].removeprefix("Invalid JSON: ")
        return Problem(400, "malformed-json", "Malformed JSON", f"the body is not JSON: {reason}")
    field = _field(first)
    message = first["msg"].removeprefix("Value error, ") if not (named := _NAMED.match(first["msg"])) else named[2]
    detail = f"{field}: {message}" if field else message
    extra: dict[str, Any] = {"field": field} if field else {}
    if others:
        extra["other_fields"] = [_field(other) for other in others[:_FIELDS_NAMED]]
    return Problem(400, "invalid-request", "Invalid request", detail, **extra)


def _field(error: ErrorDetails) -> str:
    """The dotted path of the field; cut, because who sends it may have made it up."""
    parts = [str(part) for part in error["loc"]]
    named = _NAMED.match(error["msg"])
    return ".".join([*parts, named[1]] if named else parts)[:200]


def _jsonable(value: object) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} is not JSON")
