"""The state store in Cosmos DB: one partition for each run, a document for the run and one for each step.

Each change touches one document, by a create or by a patch that the service makes only under its condition, and the
event of the change is part of that same write. So no two agents ever write to one document, and a step costs one
read (its run: is it still wanted?) and two writes (claim, record) however many steps there are.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from shared.artifacts.store import ArtifactStore
from shared.contracts import AgentResult, RunResult
from shared.errors import ClaimLost, StoreUnavailable
from shared.state.charges import Charges
from shared.state.cosmos_container import AlreadyThere, Changed, CosmosConnection, CosmosContainer, Item, NotThere
from shared.state.cosmos_documents import (
    EventBodies,
    advanced_head,
    change,
    claim_digest,
    is_left_over,
    run_item,
    run_item_id,
    run_of,
    step_head,
    step_item,
    step_item_id,
    step_of_item,
    step_time_to_live,
)
from shared.state.cosmos_lists import counts, page
from shared.state.cosmos_logs import numbered_log, purge, store_log
from shared.state.cosmos_reports import Reports
from shared.state.decisions import (
    ClaimDecision,
    Claimed,
    ClaimRequest,
    Foreign,
    NotWanted,
    decide_advance,
    decide_call_off,
    decide_claim,
    decide_record,
    decide_release,
    decide_renewal,
    is_claimed_by,
    is_taken_over,
    why_unwanted,
)
from shared.state.documents import Attempt, RunDocument, RunRecord, StepDocument, is_task_id
from shared.state.events import EventLog, RunAdvanced, RunCreated, StepClaimed, StepRecorded, StepReleased, StepRenewed
from shared.state.listing import RunFilter, RunPage
from shared.state.projection import apply_to_step
from shared.status import RUN_TRANSITIONS, RunStatus, StepStatus

_ROUNDS = 8
_DOCUMENTS = "select * from c where c.task_id = @run and c.kind in ('run', 'step')"


class CosmosState:
    """Runs in one container. Large bodies go to `artifacts`; documents of runs that are over are kept for `retention`.

    `charges` counts what every operation cost. Connects on first use.
    """

    def __init__(
        self, connection: CosmosConnection, artifacts: ArtifactStore, *, retention: timedelta | None = None
    ) -> None:
        self.charges = Charges()
        self._container = CosmosContainer(connection, self.charges)
        self._reports = Reports(self._container, self.charges)
        self._bodies = EventBodies(artifacts)
        self._retention = retention

    async def create_run(self, run: RunDocument) -> bool:
        """Create the run's document; see `StateStore.create_run`."""
        event = await self._bodies.packed(run.task_id, RunCreated(at=run.created_at, run=run))
        try:
            await self._container.create(run_item(run, [event]), run.task_id)
        except AlreadyThere:
            return False
        return True

    async def read_run(self, task_id: str) -> RunRecord | None:
        """One query over the run's partition; see `StateStore.read_run`."""
        if not is_task_id(task_id):
            return None
        items = await self._container.query(_DOCUMENTS, {"run": task_id}, partition=task_id)
        run = next((item for item in items if item["kind"] == "run"), None)
        if run is None:
            return None
        steps = [(item, await self._bodies.unpacked(item)) for item in items if item["kind"] == "step"]
        steps.sort(key=lambda step: (step[1][0].at, str(step[0]["id"])))
        document = await self._run(run)
        own = [(item, events) for item, events in steps if not is_left_over(document, events[0])]
        return RunRecord(run=document, steps=tuple(step_of_item(item, events) for item, events in own))

    async def advance_run(
        self, task_id: str, to: RunStatus, *, now: datetime, result: RunResult | None = None
    ) -> RunDocument:
        """One patch, made only from a status that the table allows; see `StateStore.advance_run`."""
        event = RunAdvanced(at=now, to=to, result=result)
        stored = await self._bodies.packed(task_id, event)
        for _ in range(_ROUNDS):
            try:
                return await self._run(await self._patch_run(task_id, event, stored))
            except (Changed, NotThere):
                run = await self._read_run_document(task_id)
                decision = decide_advance(run, task_id, to, result, now)
                if isinstance(decision, RunDocument):
                    return decision
        raise _contended(task_id)

    async def call_off(self, task_id: str, step_ids: Sequence[str], *, now: datetime) -> None:
        """One read and one patch of the run, made only if it is as it was read; see `StateStore.call_off`."""
        for _ in range(_ROUNDS):
            item = await self._container.read(run_item_id(task_id), task_id) if is_task_id(task_id) else None
            run = await self._run(item) if item is not None else None
            event = decide_call_off(run, task_id, step_ids, now)
            if item is None or event is None:
                return
            stored = await self._bodies.packed(task_id, event)
            try:
                operations = change({"updated_at": stored["at"]}, stored)
                await self._reports.patch(task_id, str(item["id"]), operations, etag=str(item["_etag"]))
            except (Changed, NotThere):
                continue
            return
        raise _contended(task_id)

    async def claim_step(self, request: ClaimRequest) -> ClaimDecision:
        """Read the run, create the step; only a step that is there already is read too. See `StateStore.claim_step`.

        A run may end between the two: then its last step was claimed a moment too late, and nobody waits for it.
        """
        task_id, step_id = request.task_id, request.step_id
        if not is_task_id(task_id):
            return Foreign(f"no run {task_id[:100]} is known")
        run = await self._read_run_document(task_id) or await self._run_by_a_write(task_id)
        # A first attempt is nearly always of a step that is not there yet; to look first would be a second read.
        fresh = request.attempt == 1 and run is not None and why_unwanted(run, step_id) is None
        for number in range(_ROUNDS):
            try:
                item = None if fresh else await self._read_step_item(run, task_id, step_id)
                step = await self._step(item) if item is not None else None
                if number > 0 and step is not None and is_claimed_by(step, request):
                    # The client sends a write again when its connection breaks off, and the first one had arrived.
                    return Claimed(step)
                decision = decide_claim(run, step, request)
                if not isinstance(decision, StepClaimed):
                    return decision
                claimed = await self._write_claim(task_id, item, step, decision)
                return Claimed(claimed, taken_over=is_taken_over(step))
            except (AlreadyThere, Changed, NotThere):
                fresh = False
        raise _contended(task_id)

    async def renew_step(
        self, task_id: str, step_id: str, *, owner: str, lease_until: datetime, now: datetime
    ) -> NotWanted | None:
        """One patch, made only while `owner` holds the step, and one read of its run; see `StateStore.renew_step`."""
        event = StepRenewed(at=now, step_id=step_id, lease_until=lease_until)

        def refused(step: StepDocument | None) -> bool:
            decide_renewal(step, owner, lease_until, now)
            return False

        await self._patch_held(task_id, owner, event, {}, refused)
        run = await self._read_run_document(task_id)
        if run is None:
            raise ClaimLost(f"run {task_id} is gone")
        return why_unwanted(run, step_id)

    async def record_step(self, task_id: str, step_id: str, *, owner: str, result: AgentResult, now: datetime) -> None:
        """One patch, made only while `owner` holds the step; see `StateStore.record_step`."""
        event = StepRecorded(at=now, step_id=step_id, result=result)
        head = {"status": result.status.value}

        def refused(step: StepDocument | None) -> bool:
            return decide_record(step, owner, result, now) is None

        await self._patch_held(task_id, owner, event, head, refused)

    async def release_step(self, task_id: str, step_id: str, *, owner: str, attempt: Attempt) -> None:
        """One patch, made only while `owner` holds the step; see `StateStore.release_step`."""
        event = StepReleased(at=attempt.ended_at, step_id=step_id, attempt=attempt)

        def refused(step: StepDocument | None) -> bool:
            return decide_release(step, owner, attempt) is None

        await self._patch_held(task_id, owner, event, {"status": StepStatus.WAITING.value}, refused)

    async def read_log(self, task_id: str) -> EventLog | None:
        """The events of all the run's documents under their numbers; see `StateStore.read_log`."""
        if not is_task_id(task_id):
            return None
        log = await numbered_log(self._container, self._bodies, task_id, self._retention)
        units = self.charges.unreported(task_id)
        return log and log.model_copy(update={"request_units": round((log.request_units or 0) + units, 2)})

    async def list_runs(self, asked: RunFilter, *, limit: int, continuation: str | None = None) -> RunPage:
        """A page of runs, from the index; see `StateStore.list_runs`."""
        return await page(self._container, asked, limit, continuation)

    async def count_runs(self, asked: RunFilter) -> Mapping[RunStatus, int]:
        """Runs by status, from the index; see `StateStore.count_runs`."""
        return await counts(self._container, asked)

    async def import_run(self, log: EventLog) -> bool:
        """Create all the documents of a run; see `StateStore.import_run`."""
        return await store_log(self._container, self._bodies, log, self._retention)

    async def purge_run(self, task_id: str) -> int:
        """Delete the run's partition; see `StateStore.purge_run`. What is left by half a purge, another one removes."""
        return await purge(self._container, task_id) if is_task_id(task_id) else 0

    async def close(self) -> None:
        """Let go of the connections."""
        await self._container.close()

    async def _run(self, item: Item) -> RunDocument:
        return run_of(item, await self._bodies.unpacked(item))

    async def _step(self, item: Item) -> StepDocument:
        return step_of_item(item, await self._bodies.unpacked(item))

    async def _read_run_document(self, task_id: str) -> RunDocument | None:
        if not is_task_id(task_id):
            return None
        item = await self._container.read(run_item_id(task_id), task_id)
        return await self._run(item) if item is not None else None

    async def _read_step_item(self, run: RunDocument | None, task_id: str, step_id: str) -> Item | None:
        """The step's document. One of an earlier run of this id is removed. May raise `Changed`."""
        item = await self._container.read(step_item_id(task_id, step_id), task_id)
        if item is None or run is None or not is_left_over(run, (await self._bodies.unpacked(item))[0]):
            return item
        await self._container.delete(str(item["id"]), task_id, etag=str(item["_etag"]))
        return None

    async def _run_by_a_write(self, task_id: str) -> RunDocument | None:
        """The run as the service itself knows it. A read may be late where another process has just created it, and
        to be told that there is no such run is the end of a step; a write is decided where the truth is."""
        try:
            return await self._run(await self._reports.patch(task_id, run_item_id(task_id), []))
        except NotThere:
            return None

    async def _patch_run(self, task_id: str, event: RunAdvanced, stored: Item) -> Item:
        before = [status for status in RunStatus if event.to in RUN_TRANSITIONS[status]]
        if not is_task_id(task_id):
            raise NotThere
        if not before:
            raise Changed
        condition = f"c.status in ({', '.join(f"'{status}'" for status in before)})"
        operations = change(advanced_head(event, stored["at"], self._retention), stored)
        return await self._reports.patch(task_id, run_item_id(task_id), operations, condition=condition)

    async def _write_claim(
        self, task_id: str, item: Item | None, step: StepDocument | None, event: StepClaimed
    ) -> StepDocument:
        claimed = apply_to_step(task_id, step, event)
        stored = await self._bodies.packed(task_id, event)
        if item is None:
            await self._container.create(step_item(claimed, [stored]), task_id)
        else:
            head = {name: step_head(claimed)[name] for name in ("status", "attempt", "claim")}
            await self._reports.patch(task_id, str(item["id"]), change(head, stored), etag=str(item["_etag"]))
        return claimed

    async def _patch_held(
        self,
        task_id: str,
        owner: str,
        event: StepRecorded | StepReleased | StepRenewed,
        head: Item,
        refused: Callable[[StepDocument | None], bool],
    ) -> None:
        """Change a step that `owner` holds. Where the service says no, `refused` says why, or that all is well."""
        if not is_task_id(task_id):
            raise ClaimLost(f"step {event.step_id} is no longer claimed by {owner}")
        item_id = step_item_id(task_id, event.step_id)
        stored = await self._bodies.packed(task_id, event)
        operations = change(head | step_time_to_live(self._retention), stored)
        for _ in range(_ROUNDS):
            try:
                condition = f"c.claim = '{claim_digest(owner)}' and c.status = 'running'"
                await self._reports.patch(task_id, item_id, operations, condition=condition)
            except (Changed, NotThere):
                item = await self._container.read(item_id, task_id)
                if refused(await self._step(item) if item is not None else None):
                    return
            else:
                return
        raise _contended(task_id)


def _contended(task_id: str) -> StoreUnavailable:
    return StoreUnavailable(f"a document of run {task_id} changed under every try to change it")
