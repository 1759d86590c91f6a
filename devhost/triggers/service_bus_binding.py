"""A `serviceBusTrigger` binding, read and checked: which entity, in which manner, over which connection."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from devhost.errors import StartError
from devhost.triggers.service_bus_connection import Connection, ConnectionString, resolve_connection
from devhost.triggers.setting_names import flag_property, text_property
from devhost.worker.model import FunctionMetadata

TRIGGER: Final = "serviceBusTrigger"
DEAD_LETTER_SUFFIX: Final = "/$deadletterqueue"


@dataclass(frozen=True, slots=True)
class Entity:
    """What is received from: a queue (`subscription` is None) or a subscription, or the dead-letter queue of either."""

    name: str
    subscription: str | None = None
    dead_letter: bool = False

    def __str__(self) -> str:
        path = self.name if self.subscription is None else f"{self.name}/{self.subscription}"
        return f"{path}{DEAD_LETTER_SUFFIX}" if self.dead_letter else path


@dataclass(frozen=True, slots=True)
class ServiceBusBinding:
    """One trigger. `as_bytes`: bodies reach the function as bytes (`dataType` binary) instead of text."""

    entity: Entity
    connection: Connection
    sessions: bool
    many: bool
    auto_complete: bool
    as_bytes: bool


def read_binding(
    function: FunctionMetadata, settings: Mapping[str, str], *, auto_complete_default: bool
) -> ServiceBusBinding:
    """The trigger of `function`.

    Raises `StartError` naming the function and the property or setting that is missing, malformed or impossible.
    """
    who = f"function '{function.name}'"
    entity = read_entity(function, settings)
    connection = resolve_connection(text_property(function, "connection", settings), settings, who)
    if isinstance(connection, ConnectionString) and connection.entity_path not in ("", entity.name):
        raise StartError(
            f"{who} receives from {entity}, but the setting {connection.setting} is only for the entity"
            f" {connection.entity_path} (EntityPath)"
        )
    sessions = flag_property(function, "isSessionsEnabled", default=False)
    if sessions and entity.dead_letter:
        raise StartError(
            f"{who}: a dead-letter queue has no sessions, so isSessionsEnabled cannot be used with {entity}"
        )
    return ServiceBusBinding(
        entity=entity,
        connection=connection,
        sessions=sessions,
        many=_one_of(function, "cardinality", {"one": False, "many": True}, default=False),
        auto_complete=flag_property(function, "autoCompleteMessages", default=auto_complete_default),
        as_bytes=_one_of(
            function, "dataType", {"undefined": False, "string": False, "stream": False, "binary": True}, default=False
        ),
    )


def read_entity(function: FunctionMetadata, settings: Mapping[str, str]) -> Entity:
    """The entity the trigger of `function` names. Raises `StartError` when it names none, or half of one."""
    queue = text_property(function, "queueName", settings)
    topic = text_property(function, "topicName", settings)
    subscription = text_property(function, "subscriptionName", settings)
    if bool(queue) == bool(topic):
        raise StartError(f"function '{function.name}': name either a queue or a topic with a subscription")
    if queue:
        name, dead_letter = _without_suffix(queue)
        return Entity(name, None, dead_letter)
    if not subscription:
        raise StartError(f"function '{function.name}': the topic {topic} needs a subscriptionName")
    name, dead_letter = _without_suffix(subscription)
    return Entity(topic, name, dead_letter)


def _without_suffix(name: str) -> tuple[str, bool]:
    if name.lower().endswith(DEAD_LETTER_SUFFIX):
        return name[: -len(DEAD_LETTER_SUFFIX)], True
    return name, False


def _one_of(function: FunctionMetadata, key: str, meanings: Mapping[str, bool], *, default: bool) -> bool:
    raw = function.trigger.properties.get(key)
    if raw is None:
        return default
    if str(raw).lower() not in meanings:
        raise StartError(f"function '{function.name}': {key} must be one of {', '.join(meanings)}, not {raw!r}")
    return meanings[str(raw).lower()]
