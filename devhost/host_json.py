"""`host.json`: what the host honours, and a warning that names every key it does not.

The table `HONOURED` is the whole list of keys with a meaning here. Everything else in the file is kept out of effect
and reported, so that nobody believes in a setting that does nothing.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from devhost.errors import StartError
from devhost.json_file import read_object
from devhost.triggers.timespan import parse_timespan

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
        "extensions.durableTask.defaultVersion",
        "extensions.durableTask.versionMatchStrategy",
        "extensions.durableTask.versionFailureStrategy",
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
        "logging.logLevel.default",
    }
)

# Keys that only matter to the Azure platform: their absence here changes nothing an app can see.
PLATFORM_ONLY: Final = frozenset(
    {
        "$schema",
        "extensionBundle",
        "extensions.durableTask.tracing",
        "logging.OpenTelemetry",
        "logging.applicationInsights",
        "managedDependency",
        "telemetryMode",
    }
)


@dataclass(frozen=True, slots=True)
class HostJson:
    """A `host.json` of version 2.0. `warnings` name the keys that are present but have no effect here.

    Every reader raises `StartError` naming the key when its value is not of the kind that is read.
    """

    values: Mapping[str, Any]
    warnings: tuple[str, ...]

    def section(self, *path: str) -> Mapping[str, Any]:
        """The object at `path`, such as `section("extensions", "serviceBus")`; empty when absent."""
        value = self._at(path)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise _wrong(path, "an object", value)
        return value

    def text(self, *path: str, default: str) -> str:
        """The text at `path`."""
        value = self._at(path)
        if value is None:
            return default
        if not isinstance(value, str):
            raise _wrong(path, "a text", value)
        return value

    def choice(self, *path: str, choices: Collection[str]) -> str | None:
        """The one of `choices` at `path`; None when absent."""
        value = self._at(path)
        if value is None:
            return None
        if value not in choices:
            raise _wrong(path, f"one of {', '.join(choices)}", value)
        return str(value)

    def texts(self, *path: str) -> Mapping[str, str]:
        """The object of texts at `path`."""
        section = self.section(*path)
        for name, value in section.items():
            if not isinstance(value, str):
                raise _wrong((*path, name), "a text", value)
        return section

    def whole_number(self, *path: str, default: int, none: int | None = None) -> int:
        """The number above 0 at `path`; `none` is the one other number that is allowed, and means no limit."""
        value = self._at(path)
        if value is None:
            return default
        fits = isinstance(value, int) and not isinstance(value, bool) and (value > 0 or value == none)
        if not fits:
            limitless = "" if none is None else f", or {none} for no limit"
            raise _wrong(path, f"a number above 0{limitless}", value)
        return int(value)

    def duration(self, *path: str) -> timedelta | None:
        """The .NET TimeSpan at `path`; None when absent, or -1 for no limit."""
        value = self._at(path)
        if value is None or value in {"-1", -1}:
            return None
        try:
            return parse_timespan(str(value))
        except ValueError as malformed:
            raise _wrong(path, "a duration such as 00:05:00", value) from malformed

    def _at(self, path: Sequence[str]) -> Any:
        value: Any = self.values
        for depth, step in enumerate(path):
            if not isinstance(value, Mapping):
                raise _wrong(path[:depth], "an object", value)
            value = value.get(step)
            if value is None:
                return None
        return value


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


def _wrong(path: Sequence[str], wanted: str, value: object) -> StartError:
    return StartError(f"host.json: {'.'.join(path)} must be {wanted}, not {value!r}")


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
