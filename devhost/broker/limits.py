"""What the service accepts: names, options and messages, checked before anything is changed.

Source of the numbers: the Service Bus quotas page (Standard tier) and the resource reference.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from types import NoneType
from uuid import UUID

from devhost.broker.errors import ArgumentError, InvalidOperation, MessageTooLarge
from devhost.broker.model import Message, Scalar
from devhost.broker.topology import QueueOptions, SubscriptionOptions, TopicOptions

_ENTITY_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?")
_SUBSCRIPTION_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_MAX_ENTITY_NAME = 260
_MAX_SUBSCRIPTION_NAME = 50
_MAX_ID = 128
_MAX_REASON = 4096
_MAX_PROPERTIES_BYTES = 64 * 1024
_SCALARS = (str, int, float, bool, bytes, datetime, UUID, Decimal, NoneType)

_LOCK = (timedelta(seconds=5), timedelta(minutes=5))
_TIME_TO_LIVE = (timedelta(seconds=1), timedelta.max)
_WINDOW = (timedelta(seconds=20), timedelta(days=7))
_DELIVERIES = (1, 2000)
_MESSAGE_KILOBYTES = (1, 100 * 1024)
_SIZE_MEGABYTES = (1, 80 * 1024)


def check_queue(options: QueueOptions) -> None:
    """`ArgumentError` names the option that is out of range."""
    _check_entity_name(options.name)
    _check_receiving(options.name, options)
    _check_sending(options.name, options)


def check_topic(options: TopicOptions) -> None:
    """`ArgumentError` names the option that is out of range; the subscriptions are checked by themselves."""
    _check_entity_name(options.name)
    _check_time_to_live(options.name, options.default_message_time_to_live)
    _check_sending(options.name, options)


def check_subscription(topic: str, options: SubscriptionOptions) -> None:
    """`ArgumentError` names the option that is out of range."""
    where = f"{topic}/subscriptions/{options.name}"
    if not _SUBSCRIPTION_NAME.fullmatch(options.name) or len(options.name) > _MAX_SUBSCRIPTION_NAME:
        raise ArgumentError(
            f"{where}: a subscription's name has up to {_MAX_SUBSCRIPTION_NAME} letters, digits and . - _"
        )
    _check_receiving(where, options)


def check_messages(entity: str, messages: Sequence[Message], *, max_kilobytes: int, sessions: bool) -> None:
    """Refuse a batch with a message that the entity does not take.

    Raises `MessageTooLarge`, `ArgumentError`, and `InvalidOperation` for a missing session id.
    """
    for message in messages:
        if message.size > max_kilobytes * 1024:
            raise MessageTooLarge(f"{entity} takes messages of {max_kilobytes} KB; one has {message.size} bytes")
        if message.size < 0:
            raise ArgumentError(f"{entity}: a message cannot have {message.size} bytes")
        for name in ("message_id", "session_id", "partition_key"):
            _check_id(entity, name, getattr(message, name))
        if message.time_to_live is not None and message.time_to_live <= timedelta(0):
            raise ArgumentError(f"{entity}: a time to live of {message.time_to_live} is not positive")
        if message.scheduled_enqueue_time is not None and message.scheduled_enqueue_time.tzinfo is None:
            raise ArgumentError(f"{entity}: a scheduled enqueue time needs a time zone")
        if message.partition_key and message.session_id and message.partition_key != message.session_id:
            raise InvalidOperation(f"{entity}: the partition key and the session id of a message must be the same")
        if sessions and message.session_id is None:
            raise InvalidOperation(f"{entity} has sessions: a message without a session id cannot be sent to it")
        check_properties(entity, message.properties)


def check_properties(entity: str, properties: Mapping[str, Scalar]) -> None:
    """`ArgumentError` when application properties are too large together, or one has a type that is not carried."""
    size = 0
    for name, value in properties.items():
        if not isinstance(name, str) or not isinstance(value, _SCALARS):
            raise ArgumentError(f"{entity}: the property {name!r} is a {type(value).__name__}, which is not carried")
        size += len(name) + (len(value) if isinstance(value, str | bytes) else 8)
    if size > _MAX_PROPERTIES_BYTES:
        raise ArgumentError(f"{entity}: the application properties of a message may have {_MAX_PROPERTIES_BYTES} bytes")


def check_dead_letter(entity: str, reason: str | None, description: str | None) -> None:
    """`ArgumentError` for a reason or a description that is too long."""
    for what, text in (("reason", reason), ("description", description)):
        if text is not None and len(text) > _MAX_REASON:
            raise ArgumentError(f"{entity}: a dead-letter {what} may have {_MAX_REASON} characters, not {len(text)}")


def check_session_id(entity: str, session_id: str | None) -> None:
    """`ArgumentError` for a session id that is too long."""
    _check_id(entity, "session_id", session_id)


def check_count(entity: str, max_messages: int) -> None:
    """`ArgumentError` for a wish for no messages."""
    if max_messages < 1:
        raise ArgumentError(f"{entity}: at least one message must be asked for, not {max_messages}")


def _check_id(entity: str, name: str, value: str | None) -> None:
    if value is None:
        return
    if len(value) > _MAX_ID:
        raise ArgumentError(f"{entity}: a message's {name} may have {_MAX_ID} characters, not {len(value)}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ArgumentError(f"{entity}: a message's {name} is not valid Unicode") from error


def _check_entity_name(name: str) -> None:
    if not _ENTITY_NAME.fullmatch(name) or len(name) > _MAX_ENTITY_NAME or "/subscriptions/" in name.lower():
        raise ArgumentError(f"{name!r}: an entity's name has up to {_MAX_ENTITY_NAME} letters, digits and . - _ /")


def _check_receiving(where: str, options: QueueOptions | SubscriptionOptions) -> None:
    _check_range(where, "lockDuration", options.lock_duration, _LOCK)
    _check_range(where, "maxDeliveryCount", options.max_delivery_count, _DELIVERIES)
    _check_time_to_live(where, options.default_message_time_to_live)


def _check_sending(where: str, options: QueueOptions | TopicOptions) -> None:
    window = options.duplicate_detection_history_time_window
    _check_range(where, "duplicateDetectionHistoryTimeWindow", window, _WINDOW)
    _check_range(where, "maxMessageSizeInKilobytes", options.max_message_size_in_kilobytes, _MESSAGE_KILOBYTES)
    _check_range(where, "maxSizeInMegabytes", options.max_size_in_megabytes, _SIZE_MEGABYTES)


def _check_time_to_live(where: str, value: timedelta | None) -> None:
    if value is not None:
        _check_range(where, "defaultMessageTimeToLive", value, _TIME_TO_LIVE)


def _check_range[T: (int, timedelta)](where: str, name: str, value: T, bounds: tuple[T, T]) -> None:
    if not bounds[0] <= value <= bounds[1]:
        raise ArgumentError(f"{where}: {name} is {value}; it must be from {bounds[0]} to {bounds[1]}")
