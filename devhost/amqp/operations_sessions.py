"""Requests about sessions: renew the lock, read and write the state, list the sessions.

Source: "AMQP 1.0 in Azure Service Bus: request-response-based operations".
"""

from collections.abc import Mapping
from datetime import MAXYEAR, datetime

from devhost.amqp.conditions import AmqpError
from devhost.amqp.operations import ARGUMENT_ERROR, Operation, Reply, Request
from devhost.amqp.values import Array
from devhost.broker.model import SessionLock


def _held(request: Request) -> SessionLock:
    return request.held.find(request.entity, request.text("session-id"))


async def _renew_lock(request: Request) -> Reply:
    lock = await request.broker.renew_session(_held(request))
    request.held.hold(request.entity, lock)
    return Reply(body={"expiration": lock.locked_until})


async def _get_state(request: Request) -> Reply:
    return Reply(body={"session-state": await request.broker.session_state(_held(request))})


async def _set_state(request: Request) -> Reply:
    state = request.body.get("session-state")
    if state is not None and not isinstance(state, bytes):
        raise AmqpError(ARGUMENT_ERROR, "the request's 'session-state' must be binary or null")
    await request.broker.set_session_state(_held(request), state)
    return Reply()


async def _list(request: Request) -> Reply:
    skip, top = max(0, request.number("skip", 0)), max(0, request.number("top", 100))
    after = request.body.get("last-updated-time")
    # The last instant there is asks for the sessions with messages, not for those with a state newer than that.
    since = after if isinstance(after, datetime) and after.year < MAXYEAR else None
    names = (await request.broker.sessions(request.entity, state_updated_after=since))[skip : skip + top]
    if not names:
        return Reply(204, None, "No sessions")
    return Reply(body={"skip": skip + len(names), "sessions-ids": Array("string", names)})


SESSION_OPERATIONS: Mapping[str, Operation] = {
    "com.microsoft:renew-session-lock": _renew_lock,
    "com.microsoft:get-session-state": _get_state,
    "com.microsoft:set-session-state": _set_state,
    "com.microsoft:get-message-sessions": _list,
}
