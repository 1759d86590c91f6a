"""One orchestration, as the engine has it in memory."""

from dataclasses import dataclass, field
from typing import Final

from durabletask.internal import orchestrator_service_pb2 as pb

FINISHED: Final = frozenset(
    {
        pb.ORCHESTRATION_STATUS_COMPLETED,
        pb.ORCHESTRATION_STATUS_FAILED,
        pb.ORCHESTRATION_STATUS_TERMINATED,
        pb.ORCHESTRATION_STATUS_CANCELED,
    }
)


@dataclass(frozen=True, slots=True)
class Parent:
    """Who waits for a sub-orchestration: a task of one execution of an instance."""

    instance_id: str
    execution_id: str
    task_id: int


@dataclass(slots=True, eq=False)
class Pending:
    """An event that no turn has taken in yet. `row` is its number in the file, 0 while it is not there."""

    event: pb.HistoryEvent
    row: int = 0


@dataclass(slots=True, eq=False)
class Instance:
    """An orchestration with its history. Times are instants; payloads are JSON text.

    `activities` and `children` are the tasks of this execution that have not come back, by task id.
    """

    key: int
    id: str
    name: str
    execution_id: str
    created_at: int
    updated_at: int
    version: str | None = None
    status: pb.OrchestrationStatus = pb.ORCHESTRATION_STATUS_PENDING
    completed_at: int | None = None
    scheduled_at: int | None = None
    parent: Parent | None = None
    custom_status: str | None = None
    failure: pb.TaskFailureDetails | None = None
    tags: dict[str, str] = field(default_factory=dict)
    history: list[pb.HistoryEvent] = field(default_factory=list)
    inbox: list[Pending] = field(default_factory=list)
    activities: dict[int, pb.HistoryEvent] = field(default_factory=dict)
    children: dict[int, str] = field(default_factory=dict)
    #: How many events of the inbox the turn that runs has taken in; 0 when none runs.
    taken: int = 0
    #: Until when it is not begun, although it could be.
    held_until: int | None = None
    #: Whether it was taken out of the hub; what still runs of it changes nothing any more.
    removed: bool = False
    # What of it is on disk.
    is_new: bool = True
    saved_events: int = 0
    saved_chunks: int = 0
    history_rewritten: bool = False

    @property
    def finished(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self.status in FINISHED

    @property
    def suspended(self) -> bool:
        """Whether it takes in nothing but being resumed or terminated."""
        return self.status == pb.ORCHESTRATION_STATUS_SUSPENDED

    @property
    def will_be_suspended(self) -> bool:
        """Whether it is suspended once it has taken in all that waits for it."""
        for pending in reversed(self.inbox):
            if pending.event.HasField("executionSuspended"):
                return True
            if pending.event.HasField("executionResumed"):
                return False
        return self.suspended

    @property
    def in_use(self) -> bool:
        """Whether it must stay in memory: something of it runs, or is about to."""
        return bool(self.taken or self.inbox or self.activities)

    def started_event(self) -> pb.HistoryEvent:
        """The event that began this execution. Raises `LookupError` for a history that has none."""
        for event in self.history:
            if event.HasField("executionStarted"):
                return event
        for pending in self.inbox:
            if pending.event.HasField("executionStarted"):
                return pending.event
        raise LookupError(f"the history of '{self.id}' does not begin")

    def rewrite_history(self, events: list[pb.HistoryEvent]) -> None:
        """Put another history in the place of the one there is."""
        self.history = events
        self.history_rewritten = True
        self.saved_events = 0
