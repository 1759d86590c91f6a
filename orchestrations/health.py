"""Whether the app can do its work: each thing it needs, asked in turn."""

import logging
from collections.abc import Awaitable, Callable
from typing import Literal

from shared.contracts import Contract
from shared.errors import ConfigurationError, MusterError
from shared.llm.endpoint import resolve_endpoint
from shared.llm.prices import OFFLINE_MODEL
from shared.resources import Resources

log = logging.getLogger("muster.http")


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
    except ConfigurationError as error:
        return Check(status="failing", detail=str(error))
    except MusterError as error:
        # Anyone may ask for the app's health, and the cause may name a file or a host.
        log.warning("health: %s: %s", type(error).__name__, error)
        return Check(status="failing", detail="does not work; the log says why")


async def _state(resources: Resources) -> str:
    await resources.store.read_run("health")
    return "answers"


async def _service_bus(resources: Resources) -> str:
    settings = resources.settings
    if not settings.service_bus and not settings.service_bus_host:
        raise ConfigurationError("set ServiceBusConnection, or ServiceBusConnection__fullyQualifiedNamespace")
    return "configured"


async def _model(resources: Resources) -> str:
    model = resolve_endpoint(resources.settings).model
    return f"configured: {model}" + (" (no language model: the local host's offline one)" * (model == OFFLINE_MODEL))
