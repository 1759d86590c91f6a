"""Reading a topology from a file: the resource names of Bicep, or the configuration of Microsoft's emulator.

Our own form is `{"queues": [...], "topics": [{..., "subscriptions": [{..., "rules": [...]}]}]}` with the properties of
the Azure resources under their own names. The emulator's `Config.json` (`UserConfig.Namespaces[0]`, capitals, a
`Properties` object at each level) is turned into that form first. A key that is unknown or not modelled is refused by
name; nothing is silently left out.
"""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from devhost.broker.errors import TopologyError
from devhost.broker.topology import (
    CorrelationFilter,
    EntityStatus,
    FalseFilter,
    QueueOptions,
    Rule,
    SqlFilter,
    SubscriptionOptions,
    TopicOptions,
    Topology,
    TrueFilter,
)

# The service writes its longest time span when it means that something never happens.
_LONGEST_DAYS = 10_675_199

# What a resource may say that is not modelled; saying nothing, or the service's default, is fine.
_NOT_MODELLED = {
    "forward_to": "forwarding",
    "forward_dead_lettered_messages_to": "forwarding",
    "auto_delete_on_idle": "deletion on idle",
    "enable_partitioning": "partitioning",
    "enable_express": "express entities",
    "is_client_affine": "client affinity",
    "client_affine_properties": "client affinity",
    "action": "a rule's action",
}


def load_topology(path: Path) -> Topology:
    """The topology in the JSON file at `path`; `TopologyError` names the file and the key."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TopologyError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise TopologyError(f"{path} is not JSON: {error}") from error
    try:
        return parse_topology(document)
    except TopologyError as error:
        raise TopologyError(f"{path}: {error}") from error


def parse_topology(document: object) -> Topology:
    """The topology in a JSON document of either form; `TopologyError` names the key."""
    if isinstance(document, dict) and "UserConfig" in document:
        document = _from_emulator(document)
    if not isinstance(document, dict):
        raise TopologyError("a topology is a JSON object")
    try:
        return _TopologyDoor.model_validate(document).topology()
    except ValidationError as error:
        raise TopologyError(_explain(error)) from error


def _span(value: object) -> object:
    if not isinstance(value, str) or not value.startswith("P"):
        raise ValueError("an ISO 8601 duration such as PT5M is needed")
    return value


type _Span = Annotated[timedelta, BeforeValidator(_span)]


class _Door(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel)

    @model_validator(mode="after")
    def _refuse_what_is_not_modelled(self) -> Self:
        for name, what in _NOT_MODELLED.items():
            value = getattr(self, name, None)
            if isinstance(value, _ActionDoor):
                value = value.sql_expression
            never = isinstance(value, timedelta) and value.days >= _LONGEST_DAYS
            if value and not never:
                raise ValueError(f"{to_camel(name)}: {what} is not modelled")
        return self

    def fields(self, *left_out: str) -> dict[str, Any]:
        """What was said, by our own names; a span as long as the service's longest is None."""
        said = {name: getattr(self, name) for name in self.model_fields_set - {*left_out, *_NOT_MODELLED}}
        return {name: None if _is_longest(value) else value for name, value in said.items()}


def _is_longest(value: object) -> bool:
    return isinstance(value, timedelta) and value.days >= _LONGEST_DAYS


class _EntityDoor(_Door):
    name: str
    default_message_time_to_live: _Span | None = None
    status: EntityStatus = EntityStatus.ACTIVE
    enable_batched_operations: bool = True
    user_metadata: str | None = None
    auto_delete_on_idle: _Span | None = None


class _ReceivingDoor(_EntityDoor):
    lock_duration: _Span = timedelta(minutes=1)
    max_delivery_count: int = 10
    dead_lettering_on_message_expiration: bool = False
    requires_session: bool = False
    forward_to: str | None = None
    forward_dead_lettered_messages_to: str | None = None


class _SendingDoor(_EntityDoor):
    requires_duplicate_detection: bool = False
    duplicate_detection_history_time_window: _Span = timedelta(minutes=10)
    max_message_size_in_kilobytes: int = 256
    max_size_in_megabytes: int = 1024
    enable_partitioning: bool = False
    enable_express: bool = False


class _CorrelationDoor(_Door):
    correlation_id: str | None = None
    message_id: str | None = None
    to: str | None = None
    reply_to: str | None = None
    label: str | None = None
    session_id: str | None = None
    reply_to_session_id: str | None = None
    content_type: str | None = None
    properties: dict[str, str | int | float | bool | None] = Field(default_factory=dict)
    requires_preprocessing: bool | None = None


class _SqlDoor(_Door):
    sql_expression: str
    compatibility_level: int | None = None
    requires_preprocessing: bool | None = None


class _ActionDoor(_Door):
    sql_expression: str | None = None
    compatibility_level: int | None = None
    requires_preprocessing: bool | None = None


class _RuleDoor(_Door):
    name: str
    filter_type: Literal["CorrelationFilter", "SqlFilter", "TrueFilter", "FalseFilter"] | None = None
    correlation_filter: _CorrelationDoor | None = None
    sql_filter: _SqlDoor | None = None
    action: _ActionDoor | None = None

    def rule(self) -> Rule:
        kind = self.filter_type
        if self.correlation_filter is not None and kind in (None, "CorrelationFilter"):
            return Rule(self.name, CorrelationFilter(**self.correlation_filter.fields("requires_preprocessing")))
        if self.sql_filter is not None and kind in (None, "SqlFilter"):
            return Rule(self.name, SqlFilter(self.sql_filter.sql_expression))
        if kind == "FalseFilter":
            return Rule(self.name, FalseFilter())
        return Rule(self.name, TrueFilter())

    @model_validator(mode="after")
    def _have_the_filter_named(self) -> Self:
        missing = {"CorrelationFilter": self.correlation_filter is None, "SqlFilter": self.sql_filter is None}
        if missing.get(self.filter_type or "", False):
            raise ValueError(f"filterType is {self.filter_type}, and that filter is missing")
        return self


class _SubscriptionDoor(_ReceivingDoor):
    dead_lettering_on_filter_evaluation_exceptions: bool = True
    is_client_affine: bool = False
    client_affine_properties: dict[str, Any] | None = None
    rules: list[_RuleDoor] = Field(default_factory=list)

    def options(self) -> SubscriptionOptions:
        options = SubscriptionOptions(**self.fields("rules"))
        return replace(options, rules=tuple(rule.rule() for rule in self.rules)) if self.rules else options


class _QueueDoor(_ReceivingDoor, _SendingDoor):
    def options(self) -> QueueOptions:
        return QueueOptions(**self.fields())


class _TopicDoor(_SendingDoor):
    support_ordering: bool = True
    subscriptions: list[_SubscriptionDoor] = Field(default_factory=list)

    def options(self) -> TopicOptions:
        subscriptions = tuple(subscription.options() for subscription in self.subscriptions)
        return TopicOptions(**self.fields("subscriptions"), subscriptions=subscriptions)


class _TopologyDoor(_Door):
    queues: list[_QueueDoor] = Field(default_factory=list)
    topics: list[_TopicDoor] = Field(default_factory=list)

    def topology(self) -> Topology:
        return Topology(
            tuple(queue.options() for queue in self.queues), tuple(topic.options() for topic in self.topics)
        )


def _from_emulator(document: dict[str, Any]) -> dict[str, Any]:
    config = document["UserConfig"]
    namespaces = config.get("Namespaces") if isinstance(config, dict) else None
    if not isinstance(namespaces, list) or len(namespaces) != 1 or not isinstance(namespaces[0], dict):
        raise TopologyError("UserConfig.Namespaces: exactly one namespace is needed")
    entities = {key: value for key, value in namespaces[0].items() if key != "Name"}
    plain: dict[str, Any] = _plain(entities)
    return plain


def _plain(value: Any) -> Any:
    """The emulator's form as ours: first letters small, and the entities' and rules' `Properties` lifted out."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    plain = {key[:1].lower() + key[1:]: _plain(item) for key, item in value.items() if key != "Properties"}
    properties = value.get("Properties")
    if isinstance(properties, dict):
        # A correlation filter's `Properties` are the message's, whose names are nobody's to change.
        named = "Name" in value
        plain |= _plain(properties) if named else {"properties": properties}
    kind = plain.get("filterType")
    if isinstance(kind, str) and not kind.endswith("Filter"):
        plain["filterType"] = f"{kind}Filter"
    return plain


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors():
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem["loc"]).lstrip(".")
        what = "unknown key" if problem["type"] == "extra_forbidden" else problem["msg"].removeprefix("Value error, ")
        lines.append(f"{where}: {what}" if where else what)
    return "; ".join(lines)
