"""What entities there are: queues, topics with subscriptions, and the subscriptions' rules, as plain values.

Names and defaults are those of the Azure resources `Microsoft.ServiceBus/namespaces/{queues,topics}`; a time to live
of None means that messages do not expire. `devhost.broker.topology_file` reads these from a file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from devhost.broker.model import Scalar

DEFAULT_RULE = "$Default"


class EntityStatus(StrEnum):
    """Which directions of traffic an entity allows."""

    ACTIVE = "Active"
    DISABLED = "Disabled"
    SEND_DISABLED = "SendDisabled"
    RECEIVE_DISABLED = "ReceiveDisabled"


@dataclass(frozen=True, slots=True)
class TrueFilter:
    """Matches every message."""


@dataclass(frozen=True, slots=True)
class FalseFilter:
    """Matches no message."""


@dataclass(frozen=True, slots=True)
class SqlFilter:
    """Matches when the expression is true; `parameters` are its `@name` values."""

    expression: str
    parameters: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CorrelationFilter:
    """Matches when every field that is set equals the message's, and every property is there with the same value."""

    correlation_id: str | None = None
    message_id: str | None = None
    to: str | None = None
    reply_to: str | None = None
    label: str | None = None
    session_id: str | None = None
    reply_to_session_id: str | None = None
    content_type: str | None = None
    properties: Mapping[str, Scalar] = field(default_factory=dict)


type RuleFilter = TrueFilter | FalseFilter | SqlFilter | CorrelationFilter


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a subscription: a name, unique without regard to case, and a filter. Actions are not modelled."""

    name: str
    filter: RuleFilter = TrueFilter()


@dataclass(frozen=True, slots=True)
class QueueOptions:
    """A queue."""

    name: str
    lock_duration: timedelta = timedelta(minutes=1)
    max_delivery_count: int = 10
    default_message_time_to_live: timedelta | None = None
    dead_lettering_on_message_expiration: bool = False
    requires_duplicate_detection: bool = False
    duplicate_detection_history_time_window: timedelta = timedelta(minutes=10)
    requires_session: bool = False
    max_message_size_in_kilobytes: int = 256
    max_size_in_megabytes: int = 1024
    status: EntityStatus = EntityStatus.ACTIVE
    enable_batched_operations: bool = True
    user_metadata: str | None = None


@dataclass(frozen=True, slots=True)
class SubscriptionOptions:
    """A subscription of a topic. Without rules of its own it gets `$Default`, which matches everything."""

    name: str
    lock_duration: timedelta = timedelta(minutes=1)
    max_delivery_count: int = 10
    default_message_time_to_live: timedelta | None = None
    dead_lettering_on_message_expiration: bool = False
    dead_lettering_on_filter_evaluation_exceptions: bool = True
    requires_session: bool = False
    status: EntityStatus = EntityStatus.ACTIVE
    enable_batched_operations: bool = True
    user_metadata: str | None = None
    rules: tuple[Rule, ...] = (Rule(DEFAULT_RULE),)


@dataclass(frozen=True, slots=True)
class TopicOptions:
    """A topic and its subscriptions."""

    name: str
    default_message_time_to_live: timedelta | None = None
    requires_duplicate_detection: bool = False
    duplicate_detection_history_time_window: timedelta = timedelta(minutes=10)
    max_message_size_in_kilobytes: int = 256
    max_size_in_megabytes: int = 1024
    status: EntityStatus = EntityStatus.ACTIVE
    enable_batched_operations: bool = True
    support_ordering: bool = True
    user_metadata: str | None = None
    subscriptions: tuple[SubscriptionOptions, ...] = ()


@dataclass(frozen=True, slots=True)
class Topology:
    """All entities of a namespace."""

    queues: tuple[QueueOptions, ...] = ()
    topics: tuple[TopicOptions, ...] = ()
