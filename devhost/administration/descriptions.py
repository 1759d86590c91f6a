"""Between entity options and their XML descriptions: one table of properties for each kind of entity.

Properties that belong to features the broker does not have (forwarding, partitions, express, deletion when idle) are
refused by name unless they are off. Source: `QueueDescription`, `TopicDescription`, `SubscriptionDescription` of the
Service Bus management protocol; the order of elements is theirs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from xml.etree.ElementTree import Element, SubElement

from pydantic import TypeAdapter, ValidationError

from devhost.administration.atom import SERVICE_BUS_COUNTS, DocumentError, sb, write_instant
from devhost.broker.model import RuntimeCounts
from devhost.broker.topology import EntityStatus, QueueOptions, SubscriptionOptions, TopicOptions

#: .NET's longest time span: how the protocol says "never".
_NEVER = "P10675199DT2H48M5.4775807S"
_NEVER_DAYS = 10675199
_UNKNOWN_TIME = datetime(1, 1, 1, tzinfo=UTC)
_DURATION = TypeAdapter(timedelta)

type Options = QueueOptions | TopicOptions | SubscriptionOptions


def _read_duration(text: str) -> timedelta | None:
    try:
        span = _DURATION.validate_python(text)
    except ValidationError as error:
        raise DocumentError(f"{text!r} is not a duration") from error
    return None if span.days >= _NEVER_DAYS else span


def _write_duration(span: object) -> str:
    if not isinstance(span, timedelta):
        return _NEVER
    text: str = _DURATION.dump_python(span, mode="json")
    return text


def _read_bool(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise DocumentError(f"{text!r} is neither true nor false")
    return text.lower() == "true"


def _read_int(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise DocumentError(f"{text!r} is not a whole number") from error


def _read_status(text: str) -> EntityStatus:
    try:
        return EntityStatus(text)
    except ValueError as error:
        raise DocumentError(f"{text!r} is not a status") from error


@dataclass(frozen=True, slots=True)
class _Property:
    """An option and how it is written."""

    option: str
    read: Callable[[str], object]
    write: Callable[[object], str] = str


def _bool(option: str) -> _Property:
    return _Property(option, _read_bool, lambda value: "true" if value else "false")


def _duration(option: str) -> _Property:
    return _Property(option, _read_duration, _write_duration)


def _number(option: str) -> _Property:
    return _Property(option, _read_int)


_LOCK = {"LockDuration": _duration("lock_duration")}
_LIFETIME = {"DefaultMessageTimeToLive": _duration("default_message_time_to_live")}
_STATUS = {"Status": _Property("status", _read_status)}
_METADATA = {"UserMetadata": _Property("user_metadata", str)}
_BATCHED = {"EnableBatchedOperations": _bool("enable_batched_operations")}
_DUPLICATES = {
    "RequiresDuplicateDetection": _bool("requires_duplicate_detection"),
    "DuplicateDetectionHistoryTimeWindow": _duration("duplicate_detection_history_time_window"),
}
_SIZE = {"MaxSizeInMegabytes": _number("max_size_in_megabytes")}
_MESSAGE_SIZE = {"MaxMessageSizeInKilobytes": _number("max_message_size_in_kilobytes")}
_SESSION = {"RequiresSession": _bool("requires_session")}
_EXPIRATION = {"DeadLetteringOnMessageExpiration": _bool("dead_lettering_on_message_expiration")}
_DELIVERIES = {"MaxDeliveryCount": _number("max_delivery_count")}


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of entity: its element's name and its properties in order."""

    element: str
    properties: Mapping[str, _Property]


_KINDS: Mapping[type, _Kind] = {
    QueueOptions: _Kind(
        "QueueDescription",
        _LOCK
        | _SIZE
        | _DUPLICATES
        | _SESSION
        | _LIFETIME
        | _EXPIRATION
        | _DELIVERIES
        | _BATCHED
        | _STATUS
        | _METADATA
        | _MESSAGE_SIZE,
    ),
    TopicOptions: _Kind(
        "TopicDescription",
        _LIFETIME
        | _SIZE
        | _DUPLICATES
        | _BATCHED
        | _STATUS
        | {"SupportOrdering": _bool("support_ordering")}
        | _METADATA
        | _MESSAGE_SIZE,
    ),
    SubscriptionOptions: _Kind(
        "SubscriptionDescription",
        _LOCK
        | _SESSION
        | _LIFETIME
        | _EXPIRATION
        | {"DeadLetteringOnFilterEvaluationExceptions": _bool("dead_lettering_on_filter_evaluation_exceptions")}
        | _DELIVERIES
        | _BATCHED
        | _STATUS
        | _METADATA,
    ),
}

#: What may not be asked for, with the values that ask for nothing.
_NOT_MODELLED: Mapping[str, frozenset[str]] = {
    "ForwardTo": frozenset(("",)),
    "ForwardDeadLetteredMessagesTo": frozenset(("",)),
    "EnablePartitioning": frozenset(("", "false")),
    "EnableExpress": frozenset(("", "false")),
}


def element_name(kind: type) -> str:
    """The name of a kind's description element."""
    return _KINDS[kind].element


def read_options(description: Element, kind: type) -> dict[str, object]:
    """The options a description sets, by the names of `kind`'s fields. Raises `DocumentError`."""
    _refuse_not_modelled(description)
    given: dict[str, object] = {}
    for name, known in _KINDS[kind].properties.items():
        text = description.findtext(sb(name))
        if text is not None and text.strip():
            given[known.option] = known.read(text.strip())
    return given


def _refuse_not_modelled(description: Element) -> None:
    for name, harmless in _NOT_MODELLED.items():
        text = (description.findtext(sb(name)) or "").strip()
        if text.lower() not in harmless:
            raise DocumentError(f"{name} is not supported")
    idle = (description.findtext(sb("AutoDeleteOnIdle")) or "").strip()
    if idle and _read_duration(idle) is not None:
        raise DocumentError("AutoDeleteOnIdle is not supported")


def write_description(options: Options, counts: RuntimeCounts) -> Element:
    """The description of an entity and of what it holds now."""
    kind = _KINDS[type(options)]
    element = Element(sb(kind.element))
    for name, known in kind.properties.items():
        value = getattr(options, known.option)
        if value is not None or known.write is _write_duration:
            SubElement(element, sb(name)).text = known.write(value)
    _write_runtime(element, options, counts)
    return element


def _write_runtime(element: Element, options: Options, counts: RuntimeCounts) -> None:
    runtime: dict[str, str] = {
        "CreatedAt": write_instant(counts.created_at or _UNKNOWN_TIME),
        "UpdatedAt": write_instant(counts.updated_at or counts.created_at or _UNKNOWN_TIME),
        "AccessedAt": write_instant(counts.accessed_at or _UNKNOWN_TIME),
        "AutoDeleteOnIdle": _NEVER,
        "EntityAvailabilityStatus": "Available",
    }
    if not isinstance(options, SubscriptionOptions):
        runtime |= {"SizeInBytes": str(counts.size_bytes), "EnablePartitioning": "false", "EnableExpress": "false"}
    if isinstance(options, TopicOptions):
        runtime["SubscriptionCount"] = str(counts.subscriptions)
    else:
        runtime["MessageCount"] = str(counts.total)
    for name, text in runtime.items():
        SubElement(element, sb(name)).text = text
    details = SubElement(element, sb("CountDetails"))
    for name, number in (
        ("ActiveMessageCount", counts.active),
        ("DeadLetterMessageCount", counts.dead_letter),
        ("ScheduledMessageCount", counts.scheduled),
        ("TransferDeadLetterMessageCount", counts.transfer_dead_letter),
        ("TransferMessageCount", counts.transfer),
    ):
        SubElement(details, f"{{{SERVICE_BUS_COUNTS}}}{name}").text = str(number)
