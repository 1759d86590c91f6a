"""The state store: runs and their steps. Every write is a create, or is guarded against a change in between."""

from datetime import datetime
from typing import Protocol

from shared.contracts import AgentResult, RunResult
from shared.state.decisions import ClaimDecision, ClaimRequest
from shared.state.documents import Attempt, RunDocument, RunRecord
from shared.status import RunStatus


class StateStore(Protocol):
    """Keeps runs durably. Every method may raise `StoreUnavailable` (retryable) and `StateCorrupted` (terminal)."""

    async def create_run(self, run: RunDocument) -> bool:
        """Store a new run; False, and nothing written, when its id is taken."""
        ...

    async def read_run(self, task_id: str) -> RunRecord | None:
        """The run with its claimed steps, in the order they were first claimed, in one query."""
        ...

    async def advance_run(
        self, task_id: str, to: RunStatus, *, now: datetime, result: RunResult | None = None
    ) -> RunDocument:
        """Move a run on; doing so twice is doing it once. Raises `NotFound` and `IllegalTransition`."""
        ...

    async def claim_step(self, request: ClaimRequest) -> ClaimDecision:
        """Claim a step for one runner, atomically."""
        ...

    async def record_step(self, task_id: str, step_id: str, *, owner: str, result: AgentResult, now: datetime) -> None:
        """Write the result of a step that `owner` claimed. Raises `ClaimLost`."""
        ...

    async def release_step(self, task_id: str, step_id: str, *, owner: str, attempt: Attempt) -> None:
        """Give a claim back because its attempt failed and another is scheduled. Raises `ClaimLost`."""
        ...

    async def close(self) -> None:
        """Let go of connections and files."""
        ...
