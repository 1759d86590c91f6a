"""What is stored in Cosmos DB of a run: a document for the run, one for each step, and one that numbers its log.

A document is its events, and a head of small values beside them: what lists ask for and what conditions look at.
The bodies are in the events only, as JSON text, because Cosmos DB keeps every number as a double; a large one is an
artifact and the event holds its reference. What a document is, is what its events add up to, and its head must agree.
"""

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import ValidationError

from shared.artifacts.store import ArtifactStore
from shared.contracts import ArtifactRef
from shared.errors import ArtifactCorrupted, NotFound, StateCorrupted
from shared.state.documents import RunDocument, StepDocument
from shared.state.events import EVENT, RunAdvanced, RunCreated, RunEvent, RunFound, StepsCalledOff
from shared.state.listing import search_words, summary_of
from shared.state.projection import apply_to_run, apply_to_step
from shared.status import RunStatus, run_is_over

type Item = dict[str, Any]

SCHEMA_VERSION = 1
MAX_EVENT_BYTES = 64 * 1024
"""An event over this size is kept as an artifact. A run's or a step's few events then stay far below the 1 MB that a
document may have, and a write of 64 KB costs hundreds of request units as it is."""
STEP_GRACE = timedelta(days=30)
"""How much longer than its run a step is kept, so that nobody sees a run that has lost its steps."""

_CLOCKS = timedelta(hours=12)

_PLAIN = re.compile(r"[A-Za-z0-9_-]")


def run_item_id(task_id: str) -> str:
    """The id of a run's document. Ids are unique in the whole container, and hold none of the characters `/\\?#.`."""
    return f"run.{_escaped(task_id)}"


def step_item_id(task_id: str, step_id: str) -> str:
    """The id of a step's document."""
    return f"step.{_escaped(task_id)}.{step_id}"


def log_item_id(task_id: str) -> str:
    """The id of the document that numbers a run's events."""
    return f"log.{_escaped(task_id)}"


def claim_digest(owner: str) -> str:
    """An owner as a condition can name it, whatever characters it is made of."""
    return hashlib.sha256(owner.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def time_text(time: datetime) -> str:
    """A time as text that sorts as time does."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class EventBodies:
    """Stores events as parts of documents, the large ones in `artifacts`."""

    def __init__(self, artifacts: ArtifactStore) -> None:
        self._artifacts = artifacts

    async def packed(self, task_id: str, event: RunEvent) -> Item:
        """An event of a run as it is stored."""
        text = event.model_dump_json()
        item: Item = {"kind": event.kind, "at": time_text(event.at)}
        if len(text.encode()) <= MAX_EVENT_BYTES:
            return item | {"data": text}
        kept = await self._artifacts.put(text.encode(), "application/json", run=task_id)
        return item | {"ref": kept.model_dump(mode="json")}

    async def unpacked(self, item: Item) -> list[RunEvent]:
        """The events of a document. Raises `StateCorrupted`, which names the document and what is wrong with it."""
        stored = item.get("events")
        if item.get("schema_version") != SCHEMA_VERSION:
            found = item.get("schema_version")
            raise corrupted(item, f"it has schema version {found}; this app reads {SCHEMA_VERSION}")
        if not isinstance(stored, list) or not stored:
            raise corrupted(item, "it has no events")
        return [await self._event(item, event) for event in stored]

    async def _event(self, item: Item, stored: Any) -> RunEvent:
        try:
            if "ref" in stored:
                address = ArtifactRef.model_validate(stored["ref"]).address
                return EVENT.validate_json(await self._artifacts.get(address))
            return EVENT.validate_json(stored["data"])
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "an event"
            raise corrupted(item, f"{where}: {first['msg']}") from None
        except (KeyError, TypeError):
            raise corrupted(item, "an event has neither data nor a reference") from None
        except (NotFound, ArtifactCorrupted) as error:
            raise corrupted(item, f"the artifact of an event is lost: {error}") from error


def run_of(item: Item, events: Sequence[RunEvent]) -> RunDocument:
    """The run that a document's events add up to. Raises `StateCorrupted` when its head disagrees."""
    run: RunDocument | None = None
    for event in events:
        if not isinstance(event, RunCreated | RunAdvanced | StepsCalledOff | RunFound):
            raise corrupted(item, f"it has an event of a step, {event.kind}")
        run = apply_to_run(run, event)
    if run is None:
        raise corrupted(item, "it has no events")
    _require_agreement(item, {"task_id": run.task_id, "status": run.status.value, "type": run.type})
    return run


def step_of_item(item: Item, events: Sequence[RunEvent]) -> StepDocument:
    """The step that a document's events add up to. Raises `StateCorrupted` when its head disagrees."""
    step: StepDocument | None = None
    for event in events:
        if isinstance(event, RunCreated | RunAdvanced | StepsCalledOff | RunFound):
            raise corrupted(item, f"it has an event of a run, {event.kind}")
        step = apply_to_step(str(item.get("task_id")), step, event)
    if step is None:
        raise corrupted(item, "it has no events")
    head = step_head(step)
    _require_agreement(item, {name: head[name] for name in ("step_id", "agent", "status", "claim")})
    return step


def run_item(run: RunDocument, events: Sequence[Item]) -> Item:
    """The document of a run."""
    summary = summary_of(run)
    return {
        "id": run_item_id(run.task_id),
        "task_id": run.task_id,
        "kind": "run",
        "schema_version": SCHEMA_VERSION,
        "type": run.type,
        "workflow": run.workflow,
        "topic": summary.topic,
        "words": "".join(f" {word}" for word in search_words(run)),
        "agents": sorted({step.agent for step in run.plan}),
        "sort_key": f"{time_text(run.created_at)} {run.task_id}",
        "created_at": time_text(run.created_at),
        **run_head(run),
        "request_units": 0,
        "events": list(events),
    }


def run_head(run: RunDocument) -> Item:
    """The part of a run's head that changes."""
    asked = run.result.account if run.result else ()
    return {
        "status": run.status.value,
        "updated_at": time_text(run.updated_at),
        "completed_at": time_text(run.completed_at) if run.completed_at else None,
        "asked": sorted({line.agent for line in asked}),
    }


def step_item(step: StepDocument, events: Sequence[Item]) -> Item:
    """The document of a step."""
    return {
        "id": step_item_id(step.task_id, step.step_id),
        "task_id": step.task_id,
        "kind": "step",
        "schema_version": SCHEMA_VERSION,
        **step_head(step),
        "request_units": 0,
        "events": list(events),
    }


def step_head(step: StepDocument) -> Item:
    """A step's head."""
    return {
        "step_id": step.step_id,
        "agent": step.agent,
        "status": step.status.value,
        "attempt": step.attempt,
        "claim": claim_digest(step.owner),
    }


def advanced_head(event: RunAdvanced, at: str, retention: timedelta | None) -> Item:
    """What a run's document says at its head once it has been moved on; `at` is when, as its event has it."""
    asked = {line.agent for line in event.result.account} if event.result else set()
    return {
        "status": event.to.value,
        "updated_at": at,
        "asked": sorted(asked),
        "completed_at": at if run_is_over(event.to) else None,
        **run_time_to_live(event.to, retention),
    }


def run_time_to_live(status: RunStatus, retention: timedelta | None) -> Item:
    """The field by which the service deletes a run that is over, some time after its last write; empty to keep it."""
    return {} if retention is None or not run_is_over(status) else {"ttl": int(retention.total_seconds())}


def step_time_to_live(retention: timedelta | None) -> Item:
    """The same for a step, which is kept a while longer than its run."""
    return {} if retention is None else {"ttl": int((retention + STEP_GRACE).total_seconds())}


def is_left_over(run: RunDocument, first: RunEvent) -> bool:
    """Whether a step that began with `first` belongs to an earlier run of this id, whose document's time was over.

    Two such runs lie at least a day apart, which no two clocks do.
    """
    return first.at < run.created_at - _CLOCKS


def change(head: Item, event: Item) -> list[Item]:
    """A change of a document as the operations of a patch: a new head, and the event that tells of it."""
    sets = [{"op": "set", "path": f"/{name}", "value": value} for name, value in head.items()]
    return [*sets, {"op": "add", "path": "/events/-", "value": event}]


def corrupted(item: Item, reason: str) -> StateCorrupted:
    """The error of a document that was changed by hand, or by another version."""
    return StateCorrupted(f"document {item.get('id')} of run {item.get('task_id')} cannot be read: {reason}")


def _require_agreement(item: Item, head: Item) -> None:
    for name, value in head.items():
        if item.get(name) != value:
            raise corrupted(item, f"its {name} is {item.get(name)!r}, and its events say {value!r}")


def _escaped(task_id: str) -> str:
    return "".join(
        character if _PLAIN.match(character) else "".join(f"~{byte:02X}" for byte in character.encode())
        for character in task_id
    )
