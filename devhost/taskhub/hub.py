"""The seam between the host and whatever engine keeps orchestrations.

A task hub serves the Durable Task protocol over gRPC at `address`, for the app's durable clients and for the host's
management API, and hands work items to a `WorkItemExecutor`, which runs them as functions of the app.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.wrappers_pb2 import StringValue


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """One turn of an orchestrator: what it has to take in, and all that came before.

    `past_events` is the committed history of this execution; `new_events` came since, `orchestratorStarted` first. The
    history grows by what a turn took in and then by what came of it, so the next turn's `past_events` begin with this
    turn's `past_events` and `new_events`. Both belong to the engine, which need not copy them: they are only read, and
    only until the turn is run. An executor that has the orchestrator's state from earlier turns reads just the end.

    `execution_id` changes with every execution of the instance: continue-as-new, restart and rewind begin a new one.
    """

    instance_id: str
    execution_id: str
    past_events: Sequence[pb.HistoryEvent]
    new_events: Sequence[pb.HistoryEvent]
    entity_parameters: pb.OrchestratorEntityParameters | None = None

    def events(self) -> Iterator[pb.HistoryEvent]:
        """The whole history, oldest first."""
        return itertools.chain(self.past_events, self.new_events)

    def started(self) -> pb.ExecutionStartedEvent:
        """What the execution was started with; one without a name when the history has no such event."""
        events = self.events()
        return next((each.executionStarted for each in events if each.HasField("executionStarted")), _NOT_STARTED)

    def request(self) -> pb.OrchestratorRequest:
        """The request of the Durable Task protocol for this turn, with the whole history in it."""
        return pb.OrchestratorRequest(
            instanceId=self.instance_id,
            executionId=StringValue(value=self.execution_id) if self.execution_id else None,
            pastEvents=self.past_events,
            newEvents=self.new_events,
            entityParameters=self.entity_parameters,
        )


_NOT_STARTED: Final = pb.ExecutionStartedEvent()


class WorkItemExecutor(Protocol):
    """Runs work items. A failure of the app is part of the response; an exception means the item was not run.

    Work items of different instances run at the same time; there is never more than one turn of an instance.
    """

    async def orchestrator(self, turn: Turn) -> pb.OrchestratorResponse:
        """Run one turn of an orchestrator over its history. The response carries the turn's instance id.

        The same turn may be run again, as it was or with more new events, when its response could not be kept.
        """
        ...

    async def activity(self, request: pb.ActivityRequest) -> pb.ActivityResponse:
        """Run one activity. The response carries the request's instance id and task id."""
        ...

    async def entity(self, request: pb.EntityBatchRequest) -> pb.EntityBatchResult:
        """Run a batch of operations of one entity."""
        ...

    def forget(self, instance_id: str, execution_id: str) -> None:
        """Drop whatever is kept of an execution between its turns: it ended, or its history was rewritten or removed.

        An execution of which nothing is kept is forgotten already.
        """
        ...


class TaskHub(Protocol):
    """An engine that keeps orchestrations and entities."""

    @property
    def address(self) -> str:
        """`host:port` of the gRPC endpoint, known once started."""
        ...

    async def start(self, executor: WorkItemExecutor) -> None:
        """Serve `address` and begin to hand out work items."""
        ...

    async def stop(self) -> None:
        """Stop handing out work, let running items finish, close the endpoint."""
        ...
