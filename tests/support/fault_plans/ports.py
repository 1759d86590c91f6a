"""The app's outside things as one process reaches them: each call is one that a plan may let go wrong."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from shared.circuit import Circuit
from shared.contracts import AgentResult, RunResult, Usage
from shared.errors import BusUnavailable, ModelRateLimited, ModelRefused, ModelUnavailable, StoreUnavailable
from shared.llm.model import ModelReply, ModelRequest
from shared.messaging.bus import OutgoingMessage
from shared.state.circuits import StoredCircuit
from shared.state.decisions import ClaimDecision, Claimed, ClaimRequest, NotWanted
from shared.state.documents import Attempt, RunDocument, RunRecord
from shared.state.sqlite import SqliteState
from shared.status import RunStatus
from tests.support.fault_plans.namespace import Namespace
from tests.support.fault_plans.observed import (
    Advanced,
    Answered,
    Asked,
    CalledOff,
    Granted,
    Recorded,
    Released,
    Renewed,
    Unanswered,
)
from tests.support.fault_plans.plan import Fault, Kind
from tests.support.fault_plans.process import Process, doing


def _no_store() -> StoreUnavailable:
    return StoreUnavailable("the store did not answer")


class ProcessStore:
    """The state store. What took effect is written down, whatever the app was told."""

    def __init__(self, store: SqliteState, process: Process) -> None:
        self._store = store
        self._process = process
        self._note = process.notebook.note

    def __getattr__(self, name: str) -> Any:
        """What no plan lets go wrong."""
        return getattr(self._store, name)

    async def create_run(self, run: RunDocument) -> bool:
        return await self._process.reach("create_run", lambda: self._store.create_run(run), _no_store)

    async def read_run(self, task_id: str) -> RunRecord | None:
        return await self._process.reach("read_run", lambda: self._store.read_run(task_id), _no_store)

    async def advance_run(
        self, task_id: str, to: RunStatus, *, now: datetime, result: RunResult | None = None
    ) -> RunDocument:
        async def effect() -> RunDocument:
            moved = await self._store.advance_run(task_id, to, now=now, result=result)
            self._note(Advanced, to)
            return moved

        return await self._process.reach("advance_run", effect, _no_store)

    async def call_off(self, task_id: str, step_ids: Sequence[str], *, now: datetime) -> None:
        async def effect() -> None:
            await self._store.call_off(task_id, step_ids, now=now)
            self._note(CalledOff, tuple(step_ids))

        await self._process.reach("call_off", effect, _no_store)

    async def claim_step(self, request: ClaimRequest) -> ClaimDecision:
        async def effect() -> ClaimDecision:
            decision = await self._store.claim_step(request)
            if isinstance(decision, Claimed):
                self._note(Granted, request.step_id, request.owner)
            return decision

        return await self._process.reach("claim_step", effect, _no_store)

    async def renew_step(
        self, task_id: str, step_id: str, *, owner: str, lease_until: datetime, now: datetime
    ) -> NotWanted | None:
        async def effect() -> NotWanted | None:
            kept = await self._store.renew_step(task_id, step_id, owner=owner, lease_until=lease_until, now=now)
            self._note(Renewed, step_id, owner)
            return kept

        return await self._process.reach("renew_step", effect, _no_store)

    async def record_step(self, task_id: str, step_id: str, *, owner: str, result: AgentResult, now: datetime) -> None:
        async def effect() -> None:
            await self._store.record_step(task_id, step_id, owner=owner, result=result, now=now)
            self._note(Recorded, step_id, owner, result.status, result.error.type if result.error else None)

        await self._process.reach("record_step", effect, _no_store)

    async def release_step(self, task_id: str, step_id: str, *, owner: str, attempt: Attempt) -> None:
        async def effect() -> None:
            await self._store.release_step(task_id, step_id, owner=owner, attempt=attempt)
            self._note(Released, step_id, owner)

        await self._process.reach("release_step", effect, _no_store)


class ProcessBus:
    """The message bus."""

    def __init__(self, namespace: Namespace, process: Process) -> None:
        self._namespace = namespace
        self._process = process

    def __getattr__(self, name: str) -> Any:
        """What no plan lets go wrong."""
        return getattr(self._namespace, name)

    async def send(self, queue: str, messages: Sequence[OutgoingMessage]) -> None:
        unreadable = [replace(message, body=_unreadable(message.body)) for message in messages]
        await self._process.reach(
            "send",
            lambda: self._namespace.send(queue, messages),
            _no_bus,
            garbled=lambda: self._namespace.send(queue, unreadable),
        )

    async def publish(self, topic: str, messages: Sequence[OutgoingMessage]) -> None:
        await self._process.reach("publish", lambda: self._namespace.publish(topic, messages), _no_bus)


def _unreadable(body: bytes) -> bytes:
    """A message as another version of the app may have sent it."""
    return json.dumps({**json.loads(body), "from_another_version": True}).encode()


def _no_bus() -> BusUnavailable:
    return BusUnavailable("the bus did not answer")


class Circuits:
    """Every process's circuits, in memory: a `CircuitStore`."""

    def __init__(self) -> None:
        self._circuits: dict[str, tuple[Circuit, int]] = {}

    async def read(self, name: str) -> StoredCircuit | None:
        found = self._circuits.get(name)
        return StoredCircuit(found[0], str(found[1])) if found else None

    async def read_all(self) -> tuple[StoredCircuit, ...]:
        return tuple(StoredCircuit(circuit, str(version)) for circuit, version in self._circuits.values())

    async def write(self, circuit: Circuit, version: str | None) -> bool:
        _, found = self._circuits.get(circuit.name, (None, 0))
        if found != (0 if version is None else int(version)):
            return False
        self._circuits[circuit.name] = (circuit, found + 1)
        return True

    async def close(self) -> None:
        """Nothing is held open."""


class ProcessCircuits:
    """The circuits as one process reaches them."""

    def __init__(self, circuits: Circuits, process: Process) -> None:
        self._circuits = circuits
        self._process = process

    async def read(self, name: str) -> StoredCircuit | None:
        return await self._process.reach("circuits", lambda: self._circuits.read(name), _no_store)

    async def read_all(self) -> tuple[StoredCircuit, ...]:
        return await self._process.reach("circuits", self._circuits.read_all, _no_store)

    async def write(self, circuit: Circuit, version: str | None) -> bool:
        return await self._process.reach("circuits", lambda: self._circuits.write(circuit, version), _no_store)

    async def close(self) -> None:
        """Nothing is held open."""


class Model:
    """The model of every process. `say` is what it answers to an agent, given the number of the call."""

    LATENCY = 1.0
    TOKENS = (100, 20)

    def __init__(self, say: Callable[[str, int], Any]) -> None:
        self.calls = 0
        self.say = say


class ProcessModel:
    """The model as one process reaches it."""

    def __init__(self, model: Model, process: Process) -> None:
        self._model = model
        self._process = process

    async def complete(self, request: ModelRequest) -> ModelReply:
        """An answer, or whatever the plan says; see `ModelClient.complete`."""
        process, model = self._process, self._model
        await process.alive()
        model.calls += 1
        call, owner, note = model.calls, doing.get().owner, process.notebook.note
        fault = process.injector.next("model") or Fault("model", 0, Kind.SLOW)
        note(Asked, owner, call)
        if fault.kind is Kind.SLOW and fault.seconds >= request.timeout.total_seconds():
            fault = Fault("model", 0, Kind.TIMES_OUT)
        try:
            await self._await_answer(fault, request)
        except (ModelUnavailable, ModelRateLimited):
            note(Unanswered, owner, call)
            raise
        note(Answered, owner, call, Model.TOKENS)
        usage = Usage(input_tokens=Model.TOKENS[0], output_tokens=Model.TOKENS[1], cost_usd=0.01, model="planned")
        await process.after(fault, _unavailable)
        if fault.kind is Kind.FILTERED:
            raise ModelRefused("the content filter refused it", usage=usage)
        return ModelReply(self._said(fault, request.system, call), usage)

    async def _await_answer(self, fault: Fault, request: ModelRequest) -> None:
        process = self._process
        await process.before(fault, _unavailable)
        match fault.kind:
            case Kind.TIMES_OUT:
                await process.wait(request.timeout.total_seconds())
                raise _unavailable()
            case Kind.RATE_LIMITED:
                wait = timedelta(seconds=fault.seconds) if fault.seconds else None
                raise ModelRateLimited("too many requests", retry_after=wait)
            case Kind.BROKEN:
                raise _unavailable()
            case Kind.DRAINS:
                process.drain()
        await process.wait(Model.LATENCY)
        if fault.kind is Kind.DIES_DURING:
            await process.last_moment()

    def _said(self, fault: Fault, agent: str, call: int) -> str:
        if fault.kind is Kind.RUBBISH:
            return '{"text": '
        return json.dumps({"nonsense": 1} if fault.kind is Kind.UNFITTING else self._model.say(agent, call))

    async def close(self) -> None:
        """Nothing is held open."""


def _unavailable() -> ModelUnavailable:
    return ModelUnavailable("the model did not answer")


class NoArtifacts:
    """An artifact store that nothing here is large enough for."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"no artifact is made in a fault plan, but {name} was asked for")
