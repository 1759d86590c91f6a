"""Which namespace a binding's `connection` names, by the rules of the Functions host.

For `connection="X"` the settings are tried in this order: `AzureWebJobsX` and `X` as connection strings, then
`AzureWebJobsX__fullyQualifiedNamespace` and `X__fullyQualifiedNamespace` for an identity. An exact name wins over a
prefix. Without a `connection` the name is `ServiceBus`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from devhost.errors import StartError

DEFAULT_CONNECTION: Final = "ServiceBus"
EMULATOR_PORT: Final = 5672
_PREFIX: Final = "AzureWebJobs"
_NAMESPACE_KEYS: Final = ("fullyQualifiedNamespace", "FullyQualifiedNamespace")
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class ConnectionString:
    """A namespace by connection string. `host` and `port` are those of its endpoint; `entity_path` may be empty."""

    setting: str
    text: str
    host: str
    port: int | None
    emulator: bool
    entity_path: str

    @property
    def address(self) -> str:
        """The endpoint for a log line."""
        return f"{self.host}:{self.emulator_port}" if self.emulator else self.host

    @property
    def emulator_port(self) -> int:
        """The AMQP port of an emulator: the endpoint's, or 5672."""
        return self.port or EMULATOR_PORT

    @property
    def is_loopback(self) -> bool:
        """Whether the endpoint is this machine."""
        return self.host.lower() in _LOOPBACK


@dataclass(frozen=True, slots=True)
class Identity:
    """A namespace reached with an Entra identity; `client_id` picks a user-assigned one."""

    setting: str
    fully_qualified_namespace: str
    client_id: str | None

    @property
    def address(self) -> str:
        """The endpoint for a log line."""
        return self.fully_qualified_namespace


type Connection = ConnectionString | Identity


def resolve_connection(name: str, settings: Mapping[str, str], used_by: str) -> Connection:
    """The namespace that the binding property `connection` = `name` stands for.

    `used_by` says whose binding it is. Raises `StartError` naming the missing setting, or the malformed one.
    """
    name = name or DEFAULT_CONNECTION
    candidates = (f"{_PREFIX}{name}", name)
    for setting in candidates:
        if settings.get(setting):
            return parse_connection_string(setting, settings[setting], used_by)
    for setting in candidates:
        for key in _NAMESPACE_KEYS:
            namespace = settings.get(f"{setting}__{key}", "").strip()
            if namespace:
                return _identity(setting, namespace, settings)
    raise StartError(
        f"{used_by} uses the connection {name}, but there is no setting {name}"
        f" (a connection string) and no {name}__fullyQualifiedNamespace (for an identity)"
    )


def parse_connection_string(setting: str, text: str, used_by: str) -> ConnectionString:
    """Read a connection string.

    Raises `StartError` naming `setting` and the part that is missing or malformed; the key it holds is never shown.
    """

    def refuse(why: str) -> StartError:
        return StartError(f"{used_by}: the setting {setting} is not a Service Bus connection string: {why}")

    parts: dict[str, str] = {}
    for part in filter(None, (each.strip() for each in text.strip().split(";"))):
        key, equals, value = part.partition("=")
        if not equals:
            raise refuse("a part of it has no '=' (expected Endpoint=sb://...;SharedAccessKeyName=...;...)")
        parts[key.strip().lower()] = value.strip()
    endpoint = parts.get("endpoint", "")
    host, port = _endpoint(endpoint)
    if not host:
        raise refuse(
            f"Endpoint is '{endpoint}', not an address such as sb://localhost" if endpoint else "it has no Endpoint"
        )
    has_key = bool(parts.get("sharedaccesskeyname")) and bool(parts.get("sharedaccesskey"))
    if not has_key and not parts.get("sharedaccesssignature"):
        raise refuse("it has neither SharedAccessKeyName with SharedAccessKey nor SharedAccessSignature")
    emulator = parts.get("usedevelopmentemulator", "false")
    if emulator not in ("true", "false"):
        # The client library compares the value literally: with "True" it would open a TLS connection.
        raise refuse(
            f"UseDevelopmentEmulator is '{emulator}', but the Python client only understands true, in lower case"
        )
    return ConnectionString(setting, text.strip(), host, port, emulator == "true", parts.get("entitypath", ""))


def _endpoint(endpoint: str) -> tuple[str, int | None]:
    try:
        address = urlsplit(endpoint)
        port = address.port
    except ValueError:
        return "", None
    return address.hostname or "", port


def _identity(setting: str, namespace: str, settings: Mapping[str, str]) -> Identity:
    return Identity(setting, namespace, settings.get(f"{setting}__clientId") or None)
