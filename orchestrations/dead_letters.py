"""Dead letters over all queues and subscriptions: what each asked for, why it died, and which run it belongs to.

They lie in the broker's own dead-letter queues and are only looked at here: nothing is locked, and nothing removed.
What the broker does not know, the run's record tells: the error of a step, and how often it was tried.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import Field, ValidationError

from orchestrations.outside_events import event_key
from orchestrations.start_queue import parse_request
from orchestrations.starter import run_id
from shared import names
from shared.cards import AgentCard
from shared.contracts import AgentName, AgentTask, Contract, ErrorInfo, TaskId
from shared.errors import InvalidMessage, InvalidRequest, MusterError
from shared.events import Event, OutsideEvent, parse_event, reaction_task
from shared.messaging.bus import DeadLetter, MessageBus
from shared.resources import Resources
from shared.state.documents import RunRecord, is_task_id
from shared.status import RunStatus, StepStatus

MAX_PAGE = 100
_PEEKED_AT_ONCE = 50
# A filter that finds little would otherwise read everything there is for one page.
_LOOKED_AT = 1000
EVENT_PATTERN = "event-driven"


@dataclass(frozen=True, slots=True)
class Place:
    """An entity with dead letters. `agent` is whose tasks or events they are; None for those that start runs."""

    entity: str
    agent: str | None = None

    @property
    def is_subscription(self) -> bool:
        """Whether events lie here."""
        return "/" in self.entity


class DeadLetterFilter(Contract):
    """Which dead letters are meant; every condition that is given has to hold. Ages are in seconds."""

    agent: AgentName | None = None
    queue: str | None = Field(default=None, max_length=300)
    reason: str | None = Field(default=None, max_length=200)
    run: TaskId | None = None
    min_age: float | None = Field(default=None, ge=0, le=10**9)
    max_age: float | None = Field(default=None, ge=0, le=10**9)


class RunOfLetter(Contract):
    """The run that a dead letter belongs to, as it stands; `status` is None when the run is not known (any more)."""

    id: str
    status: RunStatus | None
    step_id: str | None = None
    step_status: StepStatus | None = None


class DeadLetterView(Contract):
    """One dead letter. `id` is what a replay is asked for by; `age_seconds` counts from when it came to its queue."""

    id: str
    queue: str
    message_id: str | None
    agent: str | None
    reason: str | None
    description: str | None
    error: ErrorInfo | None
    attempts: int
    deliveries: int
    enqueued_at: datetime | None
    age_seconds: float | None
    size: int
    run: RunOfLetter | None
    replay_of: str | None = None


@dataclass(frozen=True, slots=True)
class Read:
    """What a dead letter asks for: a step (`task`), a run (`run`), or nothing that can be understood (`unreadable`)."""

    task: AgentTask | None = None
    run: str | None = None
    unreadable: str | None = None


class DeadLetterPage(Contract):
    """A page of dead letters; `continuation` is None at the end of the last."""

    dead_letters: tuple[DeadLetterView, ...]
    continuation: str | None


def places_of(agents: Mapping[str, AgentCard]) -> dict[str, Place]:
    """Every entity that may hold dead letters, by its name and in that order."""
    places = [Place(names.START_QUEUE), Place(f"{names.EVENTS_TOPIC}/{names.OUTSIDE_EVENTS}")]
    places += [Place(card.queue, card.name) for card in agents.values() if card.queue is not None]
    places += [Place(f"{names.EVENTS_TOPIC}/{card.name}", card.name) for card in agents.values() if card.subscribes]
    return {place.entity: place for place in sorted(places, key=lambda place: place.entity)}


def parse_id(text: str, places: Mapping[str, Place]) -> tuple[str, int]:
    """The entity and number in `entity:sequence_number`. Raises `InvalidRequest`."""
    entity, _, number = text.rpartition(":")
    if entity not in places or not (number.isascii() and number.isdecimal() and 0 < len(number) < 19):
        raise InvalidRequest(f"ids: {text[:100]!r} is no dead letter's id; see GET dead-letters", field="ids")
    return entity, int(number)


def read_letter(place: Place, message_id: str | None, body: bytes) -> Read:
    """What a message at `place` asks for."""
    try:
        if place.agent is not None and place.is_subscription:
            return Read(task=reaction_task(parse_event(Event, body), place.agent))
        if place.agent is not None:
            return Read(task=_task(place.agent, body))
        if place.is_subscription:
            return Read(run=run_id(EVENT_PATTERN, event_key(parse_event(OutsideEvent, body))))
        request = parse_request(body)
        key = request.idempotency_key or message_id
        return Read(run=run_id(request.pattern, key) if key else None)
    except (InvalidMessage, InvalidRequest) as error:
        return Read(unreadable=str(error))


async def list_dead_letters(
    asked: DeadLetterFilter,
    *,
    limit: int,
    continuation: str | None,
    places: Mapping[str, Place],
    resources: Resources,
) -> DeadLetterPage:
    """A page of those that are meant, by queue and number. Raises `InvalidRequest` and `BusUnavailable`."""
    found, follows = await matching(asked, limit=limit, continuation=continuation, places=places, resources=resources)
    shown = [await view_of(places[letter.entity], letter, resources) for letter in found]
    return DeadLetterPage(dead_letters=tuple(shown), continuation=follows)


async def matching(
    asked: DeadLetterFilter,
    *,
    limit: int,
    continuation: str | None,
    places: Mapping[str, Place],
    resources: Resources,
) -> tuple[list[DeadLetter], str | None]:
    """The next dead letters that are meant, at most `limit`, and where to go on when there may be more."""
    after = parse_continuation(continuation, places) if continuation else None
    found: list[DeadLetter] = []
    last, looked_at = None, 0
    async for place, letter in _lying(_chosen(asked, places), after, resources.bus):
        if len(found) == limit or looked_at == _LOOKED_AT:
            return found, last
        looked_at, last = looked_at + 1, letter.id
        if matches(asked, place, letter, resources.clock.now()):
            found.append(letter)
    return found, None


def parse_continuation(text: str, places: Mapping[str, Place]) -> tuple[str, int]:
    """Where a page ended. Raises `InvalidRequest`."""
    try:
        return parse_id(text, places)
    except InvalidRequest:
        raise InvalidRequest("continuation: no list gave this", field="continuation") from None


def matches(asked: DeadLetterFilter, place: Place, letter: DeadLetter, now: datetime) -> bool:
    """Whether a dead letter is meant. One of unknown age is meant by no age."""
    if asked.reason is not None and asked.reason != letter.reason:
        return False
    if asked.min_age is not None or asked.max_age is not None:
        age = _age(letter, now)
        if age is None or age < (asked.min_age or 0) or (asked.max_age is not None and age > asked.max_age):
            return False
    return asked.run is None or _run_of(read_letter(place, letter.message_id, letter.body), letter) == asked.run


async def view_of(place: Place, letter: DeadLetter, resources: Resources) -> DeadLetterView:
    """A dead letter with what the record of its run adds. A run that cannot be read hides no dead letter."""
    read = read_letter(place, letter.message_id, letter.body)
    run = _run_of(read, letter)
    record = await _record(run, resources)
    step_id = read.task.step_id if read.task else _lenient(letter.body, "step_id")
    step = next((each for each in record.steps if each.step_id == step_id), None) if record else None
    error = ErrorInfo(type="InvalidMessage", message=read.unreadable) if read.unreadable else None
    if error is None and step is not None:
        error = step.result.error if step.result else step.attempts[-1].error if step.attempts else None
    status = record.run.status if record else None
    return DeadLetterView(
        id=letter.id,
        queue=letter.entity,
        message_id=letter.message_id,
        agent=place.agent,
        reason=letter.reason,
        description=letter.description,
        error=error,
        attempts=step.attempt if step else 0,
        deliveries=letter.deliveries,
        enqueued_at=letter.enqueued_at,
        age_seconds=_age(letter, resources.clock.now()),
        size=len(letter.body),
        run=RunOfLetter(id=run, status=status, step_id=step_id, step_status=step.status if step else None)
        if run is not None and (record is not None or read.run is None)
        else None,
        replay_of=letter.properties.get(names.REPLAY_OF),
    )


async def _lying(
    places: Sequence[Place], after: tuple[str, int] | None, bus: MessageBus
) -> AsyncIterator[tuple[Place, DeadLetter]]:
    """Everything that lies there, by place and number, beginning behind `after`."""
    rest = [place for place in places if after is None or place.entity >= after[0]]
    begins = {place.entity: after[1] if after and place.entity == after[0] else 0 for place in rest}
    # Most are empty, and a look at one takes a connection.
    first = await asyncio.gather(*(bus.peek_dead(place.entity, after=begins[place.entity], limit=1) for place in rest))
    for place in [place for place, found in zip(rest, first, strict=True) if found]:
        number = begins[place.entity]
        while page := await bus.peek_dead(place.entity, after=number, limit=_PEEKED_AT_ONCE):
            for letter in page:
                yield place, letter
            number = page[-1].sequence_number


def _chosen(asked: DeadLetterFilter, places: Mapping[str, Place]) -> list[Place]:
    if asked.queue is not None and asked.queue not in places:
        there = ", ".join(places)
        raise InvalidRequest(
            f"queue: there is no queue or subscription {asked.queue[:100]}; there are {there}", field="queue"
        )
    return [
        place for place in places.values() if asked.queue in (None, place.entity) and asked.agent in (None, place.agent)
    ]


def _task(agent: str, body: bytes) -> AgentTask:
    try:
        task = AgentTask.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        raise InvalidMessage(f"it is no agent task: {where}: {first['msg']}") from None
    if task.agent != agent:
        raise InvalidMessage(f"it is a task for {task.agent}, on the queue of {agent}")
    return task


def _run_of(read: Read, letter: DeadLetter) -> str | None:
    """The run that it belongs to; that of a message which is no task, as far as it says so."""
    named = read.task.task_id if read.task else read.run or _lenient(letter.body, "task_id") or letter.correlation_id
    return named if named and is_task_id(named) else None


def _lenient(body: bytes, field: str) -> str | None:
    try:
        value = json.loads(body)[field]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return value if isinstance(value, str) and len(value) <= 100 else None


async def _record(run: str | None, resources: Resources) -> RunRecord | None:
    if run is None:
        return None
    try:
        return await resources.store.read_run(run)
    except MusterError:
        return None


def _age(letter: DeadLetter, now: datetime) -> float | None:
    if letter.enqueued_at is None:
        return None
    return max(0.0, round((now - letter.enqueued_at) / timedelta(seconds=1), 1))
