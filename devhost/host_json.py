"""`host.json`: what the host honours, and a warning that names every key it does not.

The table `HONOURED` is the whole list of keys with a meaning here. Everything else in the file is kept out of effect
and reported, so that nobody believes in a setting that does nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from devhost.errors import StartError
from devhost.json_file import read_object

HONOURED: Final = frozenset(
    {
        "version",
        "extensions.http.routePrefix",
        "extensions.http.maxConcurrentRequests",
        "extensions.http.maxOutstandingRequests",
        "extensions.http.customHeaders",
        "extensions.durableTask.hubName",
        "extensions.durableTask.maxConcurrentActivityFunctions",
        "extensions.durableTask.maxConcurrentOrchestratorFunctions",
        "extensions.durableTask.maxConcurrentEntityFunctions",
        "extensions.durableTask.maxGrpcMessageSizeInBytes",
        "extensions.serviceBus.maxAutoLockRenewalDuration",
        "extensions.serviceBus.maxConcurrentCalls",
        "extensions.serviceBus.maxConcurrentSessions",
        "extensions.serviceBus.maxMessageBatchSize",
        "extensions.serviceBus.minMessageBatchSize",
        "extensions.serviceBus.maxBatchWaitTime",
        "extensions.serviceBus.prefetchCount",
        "extensions.serviceBus.autoCompleteMessages",
        "extensions.serviceBus.sessionIdleTimeout",
        "functionTimeout",
        "logging.logLevel",
    }
)

# Keys that only matter to the Azure platform: their absence here changes nothing an app can see.
PLATFORM_ONLY: Final = frozenset(
    {"$schema", "extensionBundle", "logging.applicationInsights", "telemetryMode", "managedDependency"}
)


@dataclass(frozen=True, slots=True)
class HostJson:
    """A validated `host.json`. `warnings` name the keys that are present but have no effect here."""

    values: Mapping[str, Any]
    warnings: tuple[str, ...]

    def section(self, *path: str) -> Mapping[str, Any]:
        """The object at `path`, such as `section("extensions", "serviceBus")`; empty when absent."""
        value: Any = self.values
        for step in path:
            value = value.get(step, {}) if isinstance(value, Mapping) else {}
        return value if isinstance(value, Mapping) else {}


def load_host_json(app_dir: Path) -> HostJson:
    """Read `host.json` of the app.

    Raises `StartError` when it is missing, is not JSON, or is not of version 2.0.
    """
    path = app_dir / "host.json"
    if not path.is_file():
        raise StartError(f"{app_dir} is not a Functions app: it has no host.json (use --app to name the app's folder)")
    values = read_object(path)
    if values.get("version") != "2.0":
        raise StartError(f'{path}: "version" must be "2.0", not {values.get("version")!r}')
    unknown = tuple(f"host.json: {key} has no effect in this host" for key in _unhonoured(values))
    return HostJson(values, unknown)


def _unhonoured(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        path = f"{prefix}{key}"
        if path in HONOURED or path in PLATFORM_ONLY:
            continue
        leads_on = any(known.startswith(f"{path}.") for known in HONOURED | PLATFORM_ONLY)
        if leads_on and isinstance(value, Mapping):
            yield from _unhonoured(value, f"{path}.")
        else:
            yield path
