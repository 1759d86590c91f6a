"""Requests about messages: peek, schedule, cancel, receive deferred ones, renew locks, settle,
delete a batch.

Source: "AMQP 1.0 in Azure Service Bus: request-response-based operations".
"""

from collections.abc import Mapping
from datetime import datetime

from devhost.amqp.conditions import AmqpError
from devhost.amqp.messages import encode_delivery, parse, scalar
from devhost.amqp.operations import ARGUMENT_ERROR, Operation, Reply, Request
from devhost.amqp.settlement import Held, apply_status
from devhost.amqp.values import Array
from devhost.broker.model import Message, ReceiveMode

#: Bounds one response; a client asks again from where it ended.
_PEEK_MESSAGES = 250
_PEEK_BYTES = 1024 * 1024
#: The service's for one request.
_DELETE_MESSAGES = 4000
_SETTLE_FIRST = 0


async def _renew_lock(request: Request) -> Reply:
    ends = await request.broker.renew_lock(request.entity, request.tokens("lock-tokens"))
    return Reply(body={"expirations": Array("timestamp", ends)})


async def _peek(request: Request) -> Reply:
    deliveries = await request.broker.peek(
        request.entity,
        from_sequence_number=request.number("from-sequence-number", 1),
        max_messages=max(1, min(request.number("message-count", 1), _PEEK_MESSAGES)),
        session_id=request.optional_text("session-id"),
    )
    entries: list[dict[str, object]] = []
    size = 0
    for delivery in deliveries:
        payload = encode_delivery(delivery)
        size += len(payload)
        if entries and size > _PEEK_BYTES:
            break
        entries.append({"message": payload})
    return Reply(body={"messages": entries}) if entries else Reply(204, None, "No messages")


async def _schedule(request: Request) -> Reply:
    numbers = await request.broker.schedule(request.entity, _messages(request))
    return Reply(body={"sequence-numbers": Array("long", numbers)})


def _messages(request: Request) -> list[Message]:
    entries = request.body.get("messages")
    if not isinstance(entries, list) or not entries:
        raise AmqpError(ARGUMENT_ERROR, "the request's 'messages' must be a list that is not empty")
    payloads = [entry.get("message") if isinstance(entry, dict) else None for entry in entries]
    messages = [parse(payload) for payload in payloads if isinstance(payload, bytes)]
    if len(messages) != len(entries):
        raise AmqpError(ARGUMENT_ERROR, "each of the request's 'messages' must hold an encoded 'message'")
    return messages


async def _cancel_scheduled(request: Request) -> Reply:
    await request.broker.cancel_scheduled(request.entity, request.numbers("sequence-numbers"))
    return Reply()


async def _receive_deferred(request: Request) -> Reply:
    settles_first = request.number("receiver-settle-mode", _SETTLE_FIRST) == _SETTLE_FIRST
    mode = ReceiveMode.RECEIVE_AND_DELETE if settles_first else ReceiveMode.PEEK_LOCK
    deliveries = await request.broker.receive_deferred(
        request.entity, request.numbers("sequence-numbers"), mode, request.session()
    )
    entries: list[dict[str, object]] = []
    for delivery in deliveries:
        entry: dict[str, object] = {"message": encode_delivery(delivery)}
        if delivery.lock_token is not None:
            entry["lock-token"] = delivery.lock_token
        entries.append(entry)
    return Reply(body={"messages": entries})


async def _update_disposition(request: Request) -> Reply:
    changes = request.body.get("properties-to-modify")
    properties = {str(key): scalar(key, value) for key, value in changes.items()} if isinstance(changes, dict) else {}
    session = request.session()
    for token in request.tokens("lock-tokens"):
        held = Held(
            request.entity,
            token,
            session,
            properties,
            reason=request.optional_text("deadletter-reason"),
            description=request.optional_text("deadletter-description"),
        )
        await apply_status(request.broker, request.body.get("disposition-status"), held)
    return Reply()


async def _delete(request: Request) -> Reply:
    before = request.body.get("enqueued-time-utc")
    if before is not None and not isinstance(before, datetime):
        raise AmqpError(ARGUMENT_ERROR, "the request's 'enqueued-time-utc' must be a timestamp")
    count = max(1, min(request.number("message-count", 1), _DELETE_MESSAGES))
    deleted = await request.broker.delete_messages(request.entity, max_messages=count, enqueued_before=before)
    return Reply(body={"message-count": deleted}) if deleted else Reply(204, None, "No messages")


MESSAGE_OPERATIONS: Mapping[str, Operation] = {
    "com.microsoft:renew-lock": _renew_lock,
    "com.microsoft:peek-message": _peek,
    "com.microsoft:schedule-message": _schedule,
    "com.microsoft:cancel-scheduled-message": _cancel_scheduled,
    "com.microsoft:receive-by-sequence-number": _receive_deferred,
    "com.microsoft:update-disposition": _update_disposition,
    "com.microsoft:batch-delete-messages": _delete,
}
