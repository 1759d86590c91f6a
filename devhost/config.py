"""The app's settings: `local.settings.json` under the environment, as Core Tools merges them.

The only module of the host that reads or writes `os.environ`. The app reads its settings from the environment, as in
Azure, so loading them also puts them there.
"""

import os
import re
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from devhost.errors import StartError
from devhost.host_json import HostJson, load_host_json
from devhost.json_file import read_object

FILE: Final = "local.settings.json"
_LOCAL_ENDPOINT = re.compile(r"(?i)(endpoint=sb://(?:localhost|127\.0\.0\.1|\[::1\]))(?::\d+)?/?(?=;|$)")
_PLACEHOLDER = re.compile(r"%([^%\s]+)%")


@dataclass(frozen=True, slots=True)
class AppConfig:
    """Everything the host knows of an app before indexing it: its folder, its settings and its `host.json`."""

    app_dir: Path
    settings: Mapping[str, str]
    host_json: HostJson
    warnings: tuple[str, ...] = ()

    def disables(self, function: str) -> bool:
        """Whether the setting `AzureWebJobs.<function>.Disabled` is true; `__` may stand for each dot, as on Linux."""
        names = (f"AzureWebJobs.{function}.Disabled", f"AzureWebJobs__{function}__Disabled")
        return any(self.settings.get(name, "").lower() in {"true", "1"} for name in names)

    def emulator_on(self, port: int, environment: MutableMapping[str, str] = os.environ) -> "AppConfig":
        """The same, with every emulator's connection string that names this machine naming `port` of it instead.

        The environment is changed too, because that is where the app reads the setting.
        """
        moved = {
            name: _LOCAL_ENDPOINT.sub(rf"\g<1>:{port}", value)
            for name, value in self.settings.items()
            if "usedevelopmentemulator=true" in value.lower() and _LOCAL_ENDPOINT.search(value)
        }
        environment.update(moved)
        return replace(self, settings={**self.settings, **moved})

    def expand(self, text: str) -> str:
        """`text` with each `%Name%` replaced by the setting of that name.

        Raises `StartError` naming a setting that does not exist.
        """

        def value(found: re.Match[str]) -> str:
            name = found.group(1)
            if name not in self.settings:
                raise StartError(
                    f"'{text}' refers to the setting {name}, which is neither in {FILE} nor in the environment"
                )
            return self.settings[name]

        return _PLACEHOLDER.sub(value, text)


def load_config(app_dir: Path, environment: MutableMapping[str, str] = os.environ) -> AppConfig:
    """Read the app's settings and `host.json`, and put the settings into `environment` where they are not yet.

    Raises `StartError` with file and position for anything malformed.
    """
    if not app_dir.is_dir():
        raise StartError(f"{app_dir} is not a folder (use --app to name the app's folder)")
    host_json = load_host_json(app_dir)
    local = read_object(app_dir / FILE)
    for name, value in _values(app_dir / FILE, local).items():
        environment.setdefault(name, value)
    language = environment.get("FUNCTIONS_WORKER_RUNTIME", "python")
    if language != "python":
        raise StartError(f"FUNCTIONS_WORKER_RUNTIME is {language}, and this host runs Python apps only")
    unused = [key for key in local if key not in {"IsEncrypted", "Values"}]
    warnings = host_json.warnings + tuple(f"{FILE}: {key} has no effect in this host" for key in unused)
    return AppConfig(app_dir, dict(environment), host_json, warnings)


@contextmanager
def overriding(settings: Mapping[str, str], environment: MutableMapping[str, str] = os.environ) -> Iterator[None]:
    """Have `settings` win over the app's file, and leave the environment and the current folder as they were."""
    before, folder = dict(environment), Path.cwd()
    environment.update(settings)
    try:
        yield
    finally:
        environment.clear()
        environment.update(before)
        os.chdir(folder)


def announce(port: int) -> None:
    """Put into the environment what Core Tools tells every app: where it is served, and that it is being developed."""
    os.environ["WEBSITE_HOSTNAME"] = f"localhost:{port}"
    os.environ.setdefault("AZURE_FUNCTIONS_ENVIRONMENT", "Development")
    os.environ.setdefault("FUNCTIONS_WORKER_RUNTIME", "python")


def announce_telemetry(endpoint: str | None, environment: MutableMapping[str, str] = os.environ) -> None:
    """Have the worker library attach each call's trace context, and tell the app of an `endpoint` for its own spans.

    Settings win over both. In Azure they are settings of the app; here they follow from there being an endpoint.
    """
    environment.setdefault("PYTHON_ENABLE_OPENTELEMETRY", "true")
    if endpoint is not None:
        environment.setdefault("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)


def wants_colour(stream: Any = None) -> bool:
    """Whether log lines may carry colour: the stream is a terminal and `NO_COLOR` (no-color.org) is not set."""
    stream = sys.stderr if stream is None else stream
    return bool(stream.isatty()) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _values(path: Path, content: Mapping[str, Any]) -> Mapping[str, str]:
    if content.get("IsEncrypted"):
        raise StartError(f'{path}: "IsEncrypted": true is not supported; decrypt it with `func settings decrypt`')
    values = content.get("Values", {})
    if not isinstance(values, dict):
        raise StartError(f'{path}: "Values" must be an object of names and texts, not {type(values).__name__}')
    for name, value in values.items():
        if not isinstance(value, str):
            raise StartError(f'{path}: the value of "{name}" must be a text in quotes, not {value!r}')
        if not name or "\0" in name + value or "=" in name:
            raise StartError(f'{path}: "{name}" cannot be the name or value of an environment variable')
    return values
