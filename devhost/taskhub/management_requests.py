"""What comes in through the Durable management API, checked: query parameters, ids and bodies.

Every refusal is a `BadRequest` that names the field. Parameters nobody asks for here (`taskHub`, `connection`, `code`)
are let pass, as the Durable extension does.
"""

import json
import re
from datetime import UTC, datetime
from typing import Final, NoReturn

from aiohttp import web
from durabletask.client import OrchestrationStatus
from durabletask.entities import EntityInstanceId

from devhost.taskhub.hub_client import EntityPageQuery, InstanceQuery

CONTINUATION_HEADER: Final = "x-ms-continuation-token"

# The Durable Task Scheduler's rule for ids, within the Durable extension's: at most 100 printable ASCII characters,
# none of those that have a meaning in a URL's path, and no leading @, which marks an entity.
_INSTANCE_ID: Final = re.compile(r"[!-~]{1,100}")
_IN_PATHS: Final = frozenset("/\\#?")
_STATUSES: Final = {status.name.replace("_", "").lower(): status for status in OrchestrationStatus}
_MAX_TOP: Final = 1000


class BadRequest(Exception):
    """A request with something wrong in `field`."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field} {why}")
        self.field = field


def flag(request: web.Request, name: str, *, default: bool) -> bool:
    """A query parameter that is `true` or `false`, in any case."""
    value = request.query.get(name)
    if value is None:
        return default
    if value.lower() not in ("true", "false"):
        raise BadRequest(name, f"must be true or false, not '{value}'")
    return value.lower() == "true"


def instant(request: web.Request, name: str) -> datetime | None:
    """A query parameter that is an ISO 8601 time; one without a zone is UTC."""
    value = request.query.get(name)
    if value is None:
        return None
    try:
        # A plus sign that was not escaped arrives as a space.
        when = datetime.fromisoformat(value.replace(" ", "+") if "T" in value else value)
    except ValueError:
        raise BadRequest(name, f"must be an ISO 8601 time, not '{value}'") from None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def seconds(request: web.Request, name: str) -> float | None:
    """A query parameter that is a number of seconds, at least 0."""
    value = request.query.get(name)
    if value is None:
        return None
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise BadRequest(name, f"must be a number of seconds, not '{value}'")
    return number


def statuses(request: web.Request) -> tuple[OrchestrationStatus, ...]:
    """`runtimeStatus`: names separated by commas, or given several times, in any case."""
    given = [name.strip() for value in request.query.getall("runtimeStatus", []) for name in value.split(",")]
    names = [name for name in given if name]
    unknown = [name for name in names if name.lower() not in _STATUSES]
    if unknown:
        raise BadRequest("runtimeStatus", f"does not know '{unknown[0]}'")
    return tuple(_STATUSES[name.lower()] for name in names)


def reason(request: web.Request) -> str | None:
    """The reason for a termination, as the JSON text that becomes the orchestration's output."""
    value = request.query.get("reason")
    return None if value is None else json.dumps(value)


def instance_query(request: web.Request) -> InstanceQuery:
    """The filters of a listing of orchestrations."""
    return InstanceQuery(
        created_from=instant(request, "createdTimeFrom"),
        created_to=instant(request, "createdTimeTo"),
        statuses=statuses(request),
        id_prefix=request.query.get("instanceIdPrefix"),
        top=_top(request),
        continuation_token=request.headers.get(CONTINUATION_HEADER),
    )


def entity_query(request: web.Request) -> EntityPageQuery:
    """The filters of a listing of entities."""
    return EntityPageQuery(
        name=request.match_info.get("name"),
        modified_from=instant(request, "lastOperationTimeFrom"),
        modified_to=instant(request, "lastOperationTimeTo"),
        top=_top(request),
        continuation_token=request.headers.get(CONTINUATION_HEADER),
    )


def entity_id(request: web.Request) -> EntityInstanceId:
    """The entity that the path names."""
    try:
        return EntityInstanceId(request.match_info["name"], request.match_info["key"])
    except ValueError as invalid:
        raise BadRequest("key" if "key" in str(invalid) else "name", f"is invalid: {invalid}") from invalid


def new_instance_id(request: web.Request) -> str | None:
    """The id that the path gives a new orchestration, or None when the hub is to choose one."""
    value = request.match_info.get("instance_id")
    if value is None:
        return None
    if not _INSTANCE_ID.fullmatch(value) or value.startswith("@") or _IN_PATHS & set(value):
        raise BadRequest("instanceId", "must be 1 to 100 printable ASCII characters without / \\ # ? and a leading @")
    return value


async def json_body(request: web.Request) -> str | None:
    """The body as JSON text, or None when it is empty."""
    try:
        text = await request.text()
    except UnicodeDecodeError:
        raise BadRequest("body", "is not UTF-8 text") from None
    if not text:
        return None
    try:
        json.loads(text, parse_constant=_not_json)
    except (ValueError, RecursionError):
        raise BadRequest("body", "is not JSON") from None
    return text


async def event_body(request: web.Request) -> str | None:
    """The body of an event, which must come as `application/json`."""
    if request.content_type.lower() != "application/json" or "Content-Type" not in request.headers:
        raise BadRequest("Content-Type", "must be application/json")
    return await json_body(request)


async def operation_body(request: web.Request) -> str | None:
    """The input of an entity's operation: JSON when it says so, otherwise a text."""
    if request.content_type.lower() == "application/json":
        return await json_body(request)
    try:
        text = await request.text()
    except UnicodeDecodeError:
        raise BadRequest("body", "is not UTF-8 text") from None
    return json.dumps(text) if text else None


def _top(request: web.Request) -> int:
    value = request.query.get("top")
    if value is None:
        return InstanceQuery().top
    if not value.isdecimal() or not 1 <= int(value) <= _MAX_TOP:
        raise BadRequest("top", f"must be a number from 1 to {_MAX_TOP}, not '{value}'")
    return int(value)


def _not_json(constant: str) -> NoReturn:
    raise ValueError(constant)
