"""What the host says once it is up: to people in the log, and to scripts in the ready file."""

import json
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from devhost.config import AppConfig
from devhost.errors import StartError
from devhost.http.routes import AuthLevel, RouteTable
from devhost.keys import HostKeys
from devhost.worker.model import FunctionMetadata

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Startup:
    """What was started, and where."""

    config: AppConfig
    functions: Sequence[FunctionMetadata]
    disabled: Sequence[str]
    routes: RouteTable
    keys: HostKeys
    state_dir: Path
    url: str
    amqp_port: int | None = None
    administration_port: int | None = None


def report(startup: Startup) -> None:
    """Log the app, its functions, the keys (once), the folders, what has no effect, and the ready line last."""
    _log.info("app %s", startup.config.app_dir)
    width = max((len(function.name) for function in startup.functions), default=0)
    for function in startup.functions:
        _log.info("  %s  %s", function.name.ljust(width), _description(function, startup))
    for name in startup.disabled:
        _log.info("  %s  disabled by a setting", name.ljust(width))
    if not startup.functions:
        _log.warning("the app has no functions")
    if startup.keys.fresh:
        _log.info("keys, shown this once:")
        for name, value in startup.keys.values.items():
            _log.info("  %s  %s", name.ljust(width), value)
    _log.info("state is in %s, keys in %s", startup.state_dir, startup.keys.folder)
    if not startup.url.startswith(("http://127.", "http://localhost:", "http://[::1]:")):
        _log.warning("listening on %s: whoever reaches this machine reaches the host", startup.url)
    for warning in startup.config.warnings:
        _log.warning("%s", warning)
    _log.info("ready at %s", startup.url, extra={"event": "ready", **facts(startup)})


def facts(startup: Startup) -> dict[str, object]:
    """What a script needs to talk to the host."""
    return {
        "url": startup.url,
        "amqp_port": startup.amqp_port,
        "administration_port": startup.administration_port,
        "pid": os.getpid(),
        "keys_dir": str(startup.keys.folder),
        "state_dir": str(startup.state_dir),
    }


def write_ready_file(path: Path, startup: Startup) -> None:
    """Put `facts` into `path` as JSON, whole or not at all. Raises `StartError` when it cannot be written."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_text(json.dumps(facts(startup), indent=2), encoding="utf-8")
        partial.replace(path)
    except OSError as refused:
        raise StartError(f"the ready file {path} cannot be written: {refused.strerror}") from refused


_PLACES = {
    "serviceBusTrigger": ("queueName", "topicName", "subscriptionName"),
    "timerTrigger": ("schedule",),
}


def _description(function: FunctionMetadata, startup: Startup) -> str:
    route = next((each for each in startup.routes.routes if each.function is function), None)
    if route is not None:
        methods = ",".join(sorted(route.methods)) or "any method"
        key = "" if route.auth_level is AuthLevel.ANONYMOUS else f"  ({route.auth_level} key)"
        return f"{methods} {startup.url}{route.path}{key}"
    properties = function.trigger.properties
    places = [str(properties[key]) for key in _PLACES.get(function.trigger.type, ()) if properties.get(key)]
    return " ".join([function.trigger.type, "/".join(places)]).rstrip()
