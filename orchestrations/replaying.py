"""Replaying dead letters: for each a decision, then a copy under a fresh id, and only then is the dead letter removed.

A crash between the two leaves both: the copy is answered from the step's record, or finds the run that the other one
started, so that nothing is lost and nothing is paid for twice.
"""

import hashlib
import json
import logging
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from orchestrations.dead_letters import Place, Read, read_letter
from orchestrations.requests import ResumeFrom, SequentialRequest
from orchestrations.start_queue import parse_request
from orchestrations.starter import Orchestrations, start_run
from shared import names
from shared.cards import AgentCard
from shared.contracts import AgentTask, ArtifactRef, Contract
from shared.errors import Conflict, InvalidMessage, InvalidRequest, MessageTooLarge, NotFound
from shared.messaging.bus import DeadLetter, OutgoingMessage
from shared.messaging.tasks import task_message
from shared.resources import Resources
from shared.state.documents import RunRecord, StepDocument
from shared.status import StepStatus, run_is_over, step_is_over

log = logging.getLogger("muster.dead_letters")


class Action(StrEnum):
    """What a replay does, or would do, with one dead letter."""

    SENT = "sent"  #: a copy goes to its queue again
    RESTARTED = "restarted"  #: a new run begins at its step
    NOTHING = "nothing"  #: there is nothing left to do: its step succeeded, or its run was started
    REFUSED = "refused"  #: it cannot be replayed like this; `detail` says what would help
    GONE = "gone"  #: there is no such dead letter (any more)
    FAILED = "failed"  #: it was tried and did not work; the dead letter is still there


class Replayed(Contract):
    """What became of one dead letter. `run` is the run that goes on, or was begun."""

    id: str
    action: Action
    detail: str
    run: str | None = None


@dataclass(frozen=True, slots=True)
class Replay:
    """How dead letters are replayed. `rate` is in messages a second; `by` is who asked; `body` is an edited one."""

    rate: float
    by: str
    restart: bool = False
    dry_run: bool = False
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with a dead letter, and why."""

    action: Action
    detail: str
    run: str | None = None


def decide(read: Read, record: RunRecord | None, *, restart: bool, now: datetime) -> Decision:
    """What a replay comes to, from what the message asks for and what is known of its run."""
    if read.unreadable is not None:
        return Decision(Action.REFUSED, f"{read.unreadable}; send it with a body that is mended")
    if read.task is None:
        if record is not None:
            return Decision(Action.NOTHING, "its run was started", record.run.task_id)
        return Decision(Action.SENT, "it starts its run", read.run)
    task = read.task
    step = next((each for each in record.steps if each.step_id == task.step_id), None) if record else None
    if step is not None and step.status is StepStatus.SUCCEEDED:
        return Decision(Action.NOTHING, "its step has succeeded since", task.task_id)
    if record is None:
        if task.reply_to is None:
            return Decision(Action.SENT, "its step is a run of its own", task.task_id)
        return Decision(Action.REFUSED, "its run is not known (any more): nobody waits for its answer")
    obstacle = _obstacle(task, record, step, now)
    if obstacle is None:
        return Decision(Action.SENT, "its run waits for it", task.task_id)
    if not restart:
        return Decision(Action.REFUSED, f"{obstacle}; with restart a new run begins at its step", task.task_id)
    return _restart(task, record, obstacle)


def _obstacle(task: AgentTask, record: RunRecord, step: StepDocument | None, now: datetime) -> str | None:
    if run_is_over(record.run.status):
        return f"its run has ended: {record.run.status}"
    if step is not None and step_is_over(step.status):
        return f"its step has ended: {step.status}, and its run goes on without it"
    if task.deadline is not None and task.deadline <= now:
        return "its deadline has passed"
    return None


def _restart(task: AgentTask, record: RunRecord, obstacle: str) -> Decision:
    if task.reply_to is None or record.run.type == SequentialRequest.model_fields["pattern"].default:
        return Decision(Action.RESTARTED, f"{obstacle}: a new run begins at {task.step_id}")
    detail = f"{obstacle}, and no {record.run.type} run can begin at one of its steps: start it again with its request"
    return Decision(Action.REFUSED, detail, task.task_id)


def edited(body: bytes, place: Place) -> Read:
    """An edited body, validated as the messages at `place` are. Raises `InvalidRequest`, which names the field."""
    read = read_letter(place, None, body)
    if read.unreadable is not None:
        raise InvalidRequest(f"body: {read.unreadable}", field="body")
    return read


class Replayer:
    """Replays dead letters over one set of resources."""

    def __init__(
        self,
        places: Mapping[str, Place],
        agents: Mapping[str, AgentCard],
        orchestrations: Orchestrations,
        resources: Resources,
    ) -> None:
        self._places = places
        self._agents = agents
        self._orchestrations = orchestrations
        self._resources = resources

    async def replay(self, letters: Sequence[tuple[str, int]], how: Replay) -> tuple[Replayed, ...]:
        """Replay these dead letters, given by entity and number; what became of each, in their order.

        Raises `InvalidRequest` for an edited body that is no message of its queue, and `BusUnavailable` when the dead
        letters cannot be reached.
        """
        by_entity: defaultdict[str, list[int]] = defaultdict(list)
        for entity, number in letters:
            by_entity[entity].append(number)
        if how.body is not None:
            for entity in by_entity:
                edited(how.body, self._places[entity])
        done: dict[tuple[str, int], Replayed] = {}
        pace = _Pace(how.rate, self._resources)
        for entity, numbers in by_entity.items():
            look = self._look if how.dry_run else self._take
            done |= await look(self._places[entity], numbers, how, pace)
        gone = {
            (entity, number): Replayed(
                id=f"{entity}:{number}", action=Action.GONE, detail="there is no such dead letter (any more)"
            )
            for entity, number in letters
        }
        results = tuple((gone | done)[letter] for letter in dict.fromkeys(letters))
        if not how.dry_run:
            log.warning("%s replayed dead letters: %s", how.by, dict(Counter(each.action.value for each in results)))
        return results

    async def _look(
        self, place: Place, numbers: Sequence[int], how: Replay, _: "_Pace"
    ) -> dict[tuple[str, int], Replayed]:
        found: dict[tuple[str, int], Replayed] = {}
        for number in numbers:
            lying = await self._resources.bus.peek_dead(place.entity, after=number - 1, limit=1)
            for letter in lying:
                if letter.sequence_number == number:
                    decision, _read = await self._decide(place, letter, how)
                    found[place.entity, number] = _said(letter, decision)
        return found

    async def _take(
        self, place: Place, numbers: Sequence[int], how: Replay, pace: "_Pace"
    ) -> dict[tuple[str, int], Replayed]:
        found: dict[tuple[str, int], Replayed] = {}

        async def handle(letter: DeadLetter) -> bool:
            decision, read = await self._decide(place, letter, how)
            if decision.action in (Action.SENT, Action.RESTARTED):
                await pace.next()
                decision = await self._carry_out(place, letter, read, decision, how)
            found[place.entity, letter.sequence_number] = _said(letter, decision)
            return decision.action in (Action.SENT, Action.RESTARTED)

        await self._resources.bus.take_dead(place.entity, numbers, handle)
        return found

    async def _decide(self, place: Place, letter: DeadLetter, how: Replay) -> tuple[Decision, Read]:
        if how.body is not None:
            read = read_letter(place, None, how.body)
        else:
            read = read_letter(place, letter.message_id, letter.body)
        run = read.task.task_id if read.task else read.run
        record = await self._resources.store.read_run(run) if run else None
        return decide(read, record, restart=how.restart, now=self._resources.clock.now()), read

    async def _carry_out(
        self, place: Place, letter: DeadLetter, read: Read, decision: Decision, how: Replay
    ) -> Decision:
        audit = _audit(letter, how, self._resources.clock.now())
        try:
            if read.task is None:
                await self._send_start(place, letter, how, audit)
                return decision
            if decision.action is Action.SENT:
                await self._send_task(letter, read.task, audit)
                return decision
            run = await self._begin_again(letter, read.task, how, audit)
        except (InvalidRequest, InvalidMessage, MessageTooLarge, NotFound, Conflict) as error:
            return Decision(Action.FAILED, str(error))
        return replace(decision, run=run)

    async def _send_task(self, letter: DeadLetter, task: AgentTask, audit: Mapping[str, str]) -> None:
        message_id = names.replay_message_id(letter.id, self._resources.clock.now())
        message = await task_message(task, self._resources.artifacts, message_id=message_id)
        await self._resources.bus.send(names.agent_queue(task.agent), [replace(message, properties=audit)])

    async def _send_start(self, place: Place, letter: DeadLetter, how: Replay, audit: Mapping[str, str]) -> None:
        message = OutgoingMessage(
            body=_start_body(place, letter, how.body),
            message_id=names.replay_message_id(letter.id, self._resources.clock.now()),
            correlation_id=letter.correlation_id,
            label=letter.label,
            content_type=letter.content_type or "application/json",
            traceparent=letter.traceparent,
            properties=audit,
        )
        if place.is_subscription:
            await self._resources.bus.publish(names.EVENTS_TOPIC, [message])
        else:
            await self._resources.bus.send(place.entity, [message])

    async def _begin_again(self, letter: DeadLetter, task: AgentTask, how: Replay, audit: Mapping[str, str]) -> str:
        """Begin a new run at the step; doing so twice for one dead letter begins one run. Returns the run's id."""
        again = hashlib.sha256(f"{letter.id}\n{letter.message_id}\n{task.task_id}".encode()).hexdigest()[:32]
        if task.reply_to is None:
            await self._send_task(letter, task.model_copy(update={"task_id": again, "deadline": None}), audit)
            return again
        given = task.input if how.body is not None and not isinstance(task.input, ArtifactRef) else None
        request = SequentialRequest(
            resume_from=ResumeFrom(run=task.task_id, step=task.step_id.partition(".")[0]),
            request=given.request if given else None,
        )
        run = await start_run(
            request,
            agents=self._agents,
            orchestrations=self._orchestrations,
            resources=self._resources,
            idempotency_key=f"replay-{again}",
            traceparent=task.traceparent or letter.traceparent,
        )
        return run.task_id


class _Pace:
    """Lets messages go one by one, so many a second."""

    def __init__(self, rate: float, resources: Resources) -> None:
        self._gap = timedelta(seconds=1 / rate)
        self._clock = resources.clock
        self._next: datetime | None = None

    async def next(self) -> None:
        """Return when the next may go."""
        if self._next is not None:
            await self._clock.sleep_until(self._next)
        self._next = self._clock.now() + self._gap


def _start_body(place: Place, letter: DeadLetter, body: bytes | None) -> bytes:
    """The copy's body. It starts the same run as its original would: what the original's id said, the body says."""
    if body is not None or place.is_subscription:
        return body if body is not None else letter.body
    request = parse_request(letter.body)
    key = request.idempotency_key or letter.message_id
    return json.dumps(request.model_copy(update={"idempotency_key": key}).model_dump(mode="json")).encode()


def _audit(letter: DeadLetter, how: Replay, now: datetime) -> dict[str, str]:
    """Who replayed what and when, for the copy's properties; and for the log."""
    audit = {names.REPLAY_OF: letter.id, names.REPLAYED_AT: now.isoformat(), names.REPLAYED_BY: how.by}
    if how.body is not None:
        before, after = (hashlib.sha256(each).hexdigest() for each in (letter.body, how.body))
        audit[names.REPLAYED_SHA256] = after
        log.warning("%s replays %s with another body: sha256 %s instead of %s", how.by, letter.id, after, before)
    else:
        log.info("%s replays %s", how.by, letter.id)
    return audit


def _said(letter: DeadLetter, decision: Decision) -> Replayed:
    return Replayed(id=letter.id, action=decision.action, detail=decision.detail, run=decision.run)
