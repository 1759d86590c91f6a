"""A random program against a broker and, step by step, against the naive model of it: the frame of it.

Everything is drawn from one seeded generator; the broker runs on a manual clock and commits in the caller, so that a
seed always gives the same program and the same outcome. `trace` tells what was done when something does not agree.
The steps are in `tests.support.broker_steps`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

from devhost.broker.broker import Broker
from devhost.broker.errors import BrokerError
from devhost.broker.model import Delivery, Message, SessionLock
from devhost.clock import ManualClock
from tests.support.broker_entities import draw_topology
from tests.support.broker_model import Box, Held, Refused, Sent, Session, Waiting
from tests.support.broker_model_namespace import Namespace
from tests.support.inline_executor import InlineExecutor

START = datetime(2026, 1, 1, tzinfo=UTC)
# Turns of the loop in which whatever an operation has started is over.
TURNS = 5


def seconds(when: datetime | None) -> int | None:
    return None if when is None else round((when - START).total_seconds())


@dataclass
class Handle:
    """A lock that a consumer holds or held: what the broker and what the model call it."""

    path: str
    token: UUID
    lock: object
    session: "SessionHandle | None"


@dataclass
class SessionHandle:
    """A session that a consumer holds or held."""

    path: str
    lock: SessionLock
    hold: Session


@dataclass
class Waiter:
    """A call that waits in both."""

    path: str
    task: asyncio.Task[Any]
    model: Waiting
    session: SessionHandle | None


class Disagreement(AssertionError):
    """The broker and the model differ."""


class Program:
    """One program; `path` is the broker's file."""

    def __init__(self, seed: int, path: Path) -> None:
        self.random = Random(seed)
        self.path = path
        self.clock = ManualClock(START)
        self.model = Namespace()
        self.trace: list[str] = []
        self.handles: list[Handle] = []
        self.sessions: list[SessionHandle] = []
        self.waiters: list[Waiter] = []
        #: Answered in the model by a step that went on afterwards.
        self.served: list[Waiting] = []
        self.bodies = 0
        self.topology = draw_topology(self.random, self.model)
        self.broker: Broker

    async def open(self) -> None:
        self.broker = await Broker.open(self.path, self.topology, self.clock, executor=InlineExecutor())

    def note(self, text: str) -> None:
        self.trace.append(f"{self.model.now:5} {text}")

    # -- agreeing -------------------------------------------------------------------------------------------------

    def agree(self, what: str, got: object, expected: object) -> None:
        if got != expected:
            raise Disagreement(f"{what}\n  broker: {got}\n  model:  {expected}")

    async def both(self, what: str, real: Awaitable[Any], model: Callable[[], Any]) -> tuple[Any, Any] | None:
        """Do it on both sides; None when both refuse it alike."""
        self.note(what)
        refused: str | None = None
        expected: Any = None
        try:
            expected = model()
        except Refused as refusal:
            refused = str(refusal)
        try:
            got = await real
        except BrokerError as error:
            self.agree(what, type(error).__name__, refused)
            return None
        self.agree(what, None, refused)
        return got, expected

    async def settle(self) -> None:
        """Let the broker answer those who wait, and check that exactly the right ones are answered."""
        served = self.served + self.model.serve()
        self.served = []
        for _ in range(TURNS):
            await asyncio.sleep(0)
        for waiter in list(self.waiters):
            if not any(waiter.model is one for one in served):
                if waiter.task.done():
                    raise Disagreement(f"a call on {waiter.path} was answered: {waiter.task}; it should still wait")
                continue
            self.waiters.remove(waiter)
            if not waiter.task.done():
                raise Disagreement(f"a call on {waiter.path} still waits; it should have {waiter.model.given}")
            self.check_answer(waiter)

    def check_answer(self, waiter: Waiter) -> None:
        error, given = waiter.task.exception(), waiter.model.given
        if given is None:
            self.agree("a lost session", type(error).__name__, "SessionLockLost")
        elif error is not None:
            raise Disagreement(f"a call on {waiter.path} failed: {error!r}")
        elif isinstance(given, Session):
            self.accepted(waiter.path, waiter.task.result(), given)
        else:
            self.received(waiter.path, waiter.task.result(), given, waiter.session)

    def received(
        self, path: str, got: list[Delivery], expected: list[tuple[Held, int]], session: SessionHandle | None
    ) -> None:
        shown = [
            (one.sequence_number, one.message.content, one.delivery_count, seconds(one.locked_until)) for one in got
        ]
        wanted = []
        for held, before in expected:
            until = held.until if session is None else session.hold.until
            wanted.append((held.number, held.sent.body, before, None if held.lock is None else until))
        self.agree(f"received from {path}", shown, wanted)
        for delivery, (held, _) in zip(got, expected, strict=True):
            if delivery.lock_token is not None:
                assert held.lock is not None
                self.handles.append(Handle(path, delivery.lock_token, held.lock, session))

    def accepted(self, path: str, lock: SessionLock, hold: Session) -> None:
        self.agree("session accepted", (lock.session_id, seconds(lock.locked_until)), (hold.session_id, hold.until))
        self.sessions.append(SessionHandle(path, lock, hold))

    async def seen(self) -> dict[str, Any]:
        """All that the broker shows."""
        shown: dict[str, Any] = {}
        for path in self.model.boxes:
            found = await self.broker.peek(path, from_sequence_number=0, max_messages=1000)
            counts = self.broker.counts(path)
            shown[path] = (
                [peeked(one) for one in found],
                (
                    counts.active,
                    counts.locked,
                    counts.deferred,
                    counts.scheduled,
                    counts.dead_letter,
                    counts.size_bytes,
                ),
            )
        for path in self.model.topics:
            shown[path] = self.broker.counts(path).scheduled
        return shown

    async def compare(self) -> None:
        """Everything the broker shows must be what the model has."""
        self.note("compare")
        got, expected = await self.seen(), observed(self.model)
        for path in expected:
            self.agree(path, got[path], expected[path])

    # -- drawing --------------------------------------------------------------------------------------------------

    def draw_box(self) -> Box:
        boxes = list(self.model.boxes.values())
        full = [box for box in boxes if box.held] if self.random.random() < 0.7 else []
        return self.random.choice(full or boxes)

    def draw_sent(self, path: str) -> Sent:
        draw = self.random
        self.bodies += 1
        due = None
        if draw.random() < 0.2:
            # Odd on a topic, so that nothing else of the same dead-letter queue happens at the same instant.
            due = self.model.now + draw.choice([20, 60]) + (path == "news")
        return Sent(
            body=b"m%d" % self.bodies,
            message_id=f"id{draw.randint(0, 9)}" if draw.random() < 0.5 else None,
            session_id=draw.choice("abc") if path == "talks" or draw.random() < 0.6 else None,
            ttl=draw.choice([None, None, 10, 30]),
            due=due,
            properties={"n": draw.randint(0, 5)},
        )

    def draw_send(self) -> tuple[str, list[Sent]]:
        paths = [path for path, box in self.model.boxes.items() if box.dead is not None and "/" not in path]
        path = self.random.choice([*paths, "news"])
        return path, [self.draw_sent(path) for _ in range(self.random.choice([1, 1, 1, 2, 3]))]

    def draw_session(self, box: Box) -> SessionHandle | None:
        known = [handle for handle in self.sessions if handle.path == box.path]
        if not known or not box.sessions or self.random.random() < 0.1:
            return None
        return known[-1] if self.random.random() < 0.7 else self.random.choice(known)


def message_of(sent: Sent) -> Message:
    return Message(
        content=sent.body,
        size=len(sent.body),
        message_id=sent.message_id,
        session_id=sent.session_id,
        time_to_live=None if sent.ttl is None else timedelta(seconds=sent.ttl),
        scheduled_enqueue_time=None if sent.due is None else START + timedelta(seconds=sent.due),
        properties=sent.properties,
    )


def peeked(one: Delivery) -> tuple[Any, ...]:
    """A peeked message as the model shows it."""
    dead = (one.dead_letter_source, one.dead_letter_reason, one.dead_letter_description)
    return (
        one.sequence_number,
        one.enqueued_sequence_number,
        one.message.content,
        int(one.state),
        one.delivery_count,
        seconds(one.enqueued_time),
        seconds(one.expires_at),
        tuple(sorted(one.message.properties.items())),
        None if dead == (None, None, None) else dead,
    )


def observed(model: Namespace) -> dict[str, Any]:
    """All that the model shows, as `Program.seen` gives it."""
    shown: dict[str, Any] = {path: (box.seen(), box.counts()) for path, box in model.boxes.items()}
    return shown | {path: len(topic.scheduled) for path, topic in model.topics.items()}
