"""The state store: runs and their steps. Every write is a create, or is guarded against a change in between."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from shared.contracts import AgentResult, RunResult
from shared.state.decisions import ClaimDecision, ClaimRequest, NotWanted
from shared.state.documents import Attempt, RunDocument, RunRecord
from shared.state.events import EventLog
from shared.state.listing import RunFilter, RunPage
from shared.status import RunStatus


class StateStore(Protocol):
    """Keeps runs durably. Every method may raise `StoreUnavailable` (retryable) and `StateCorrupted` (terminal)."""

    async def create_run(self, run: RunDocument) -> bool:
        """Store a new run; False, and nothing written, when its id is taken."""
        ...

    async def read_run(self, task_id: str) -> RunRecord | None:
        """The run with its claimed steps, in the order of their first claims, in one query."""
        ...

    async def advance_run(
        self, task_id: str, to: RunStatus, *, now: datetime, result: RunResult | None = None
    ) -> RunDocument:
        """Move a run on; doing so twice is doing it once. Raises `NotFound` and `IllegalTransition`."""
        ...

    async def call_off(self, task_id: str, step_ids: Sequence[str], *, now: datetime) -> None:
        """Let a run go on without these steps, and without all the steps of the nested patterns among them.

        One write for all of them, and none when that was done before or the run is over. Raises `NotFound`.
        """
        ...

    async def claim_step(self, request: ClaimRequest) -> ClaimDecision:
        """Claim a step for one runner, atomically."""
        ...

    async def renew_step(
        self, task_id: str, step_id: str, *, owner: str, lease_until: datetime, now: datetime
    ) -> NotWanted | None:
        """Keep a claim until `lease_until`; why nobody waits for the step any more, if so, for its runner to stop.

        Raises `ClaimLost`.
        """
        ...

    async def record_step(self, task_id: str, step_id: str, *, owner: str, result: AgentResult, now: datetime) -> None:
        """Write the result of a step that `owner` claimed; the very same once more is no error. Raises `ClaimLost`."""
        ...

    async def release_step(self, task_id: str, step_id: str, *, owner: str, attempt: Attempt) -> None:
        """Give a claim back because its attempt failed and another is scheduled; the very same once more is no error.

        Raises `ClaimLost`.
        """
        ...

    async def read_log(self, task_id: str) -> EventLog | None:
        """Everything that happened to a run. Whoever saw an event under a number will see it under no other."""
        ...

    async def list_runs(self, asked: RunFilter, *, limit: int, continuation: str | None = None) -> RunPage:
        """A page of at most `limit` runs, the newest first. Raises `InvalidRequest` for a token it did not give."""
        ...

    async def count_runs(self, asked: RunFilter) -> Mapping[RunStatus, int]:
        """How many runs there are in each status, of those that are meant; every status is there."""
        ...

    async def import_run(self, log: EventLog) -> bool:
        """Store a run with its whole log, numbers included; False, and nothing written, when its id is taken.

        Raises `StateCorrupted` when the log is no log of one run.
        """
        ...

    async def purge_run(self, task_id: str) -> int:
        """Remove everything that is stored of a run, and say how many documents that were; 0 when there were none."""
        ...

    async def close(self) -> None:
        """Let go of connections and files."""
        ...
