"""Whether the app can do its work: each thing it needs, asked in turn."""

from collections.abc import Awaitable, Callable
from typing import Literal

from shared.contracts import Contract
from shared.errors import MusterError
from shared.llm.endpoint import resolve_endpoint
from shared.llm.prices import OFFLINE_MODEL
from shared.resources import Resources


class Check(Contract):
    """How one thing stands, in words for a person."""

    status: Literal["ok", "failing"]
    detail: str


class Health(Contract):
    """How the app stands: `ok` when every check is."""

    status: Literal["ok", "failing"]
    checks: dict[str, Check]


async def check_health(resources: Resources) -> Health:
    """Ask the state store, and see whether Service Bus and a model are configured. Calls no model: that costs."""
    checks = {
        "state": await _checked(lambda: _state(resources)),
        "service_bus": await _checked(lambda: _service_bus(resources)),
        "model": await _checked(lambda: _model(resources)),
    }
    healthy = all(check.status == "ok" for check in checks.values())
    return Health(status="ok" if healthy else "failing", checks=checks)


async def _checked(check: Callable[[], Awaitable[str]]) -> Check:
    try:
        return Check(status="ok", detail=await check())
    except MusterError as error:
        return Check(status="failing", detail=str(error))


async def _state(resources: Resources) -> str:
    await resources.store.read_run("health")
    return "answers"


async def _service_bus(resources: Resources) -> str:
    settings = resources.settings
    if not settings.service_bus and not settings.service_bus_host:
        raise MusterError("set ServiceBusConnection, or ServiceBusConnection__fullyQualifiedNamespace")
    return "configured"


async def _model(resources: Resources) -> str:
    model = resolve_endpoint(resources.settings).model
    return f"configured: {model}" + (" (no language model: the local host's offline one)" * (model == OFFLINE_MODEL))
