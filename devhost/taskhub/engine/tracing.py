"""Where an engine tells of what becomes spans. Without a `Tracing`, trace contexts are only kept and handed on."""

from collections.abc import Callable, Sequence
from typing import Protocol

from durabletask.internal import orchestrator_service_pb2 as pb

from devhost.taskhub.engine.instance import Instance
from devhost.taskhub.engine.instances import Instances

type TraceOf = Callable[[str], pb.TraceContext | None]


class Creation(Protocol):
    """An orchestration that a client asks for."""

    @property
    def trace_context(self) -> pb.TraceContext:
        """What the orchestration is told to be part of."""
        ...

    def done(self, instance_id: str) -> None:
        """It is on disk."""
        ...

    def refused(self, why: str) -> None:
        """There will be no such orchestration."""
        ...


class Tracing(Protocol):
    """Told of what happens to orchestrations, at the moment it changes memory; nothing here waits or raises."""

    def creation(self, name: str, version: str | None, parent: pb.TraceContext | None) -> Creation:
        """A client asks for an orchestration; `parent` is where it stands itself."""
        ...

    def turn(
        self, instance: Instance, taken_in: Sequence[pb.HistoryEvent], response: pb.OrchestratorResponse, now: int
    ) -> Callable[[], None]:
        """A turn of `instance`, whose history ends before `taken_in`, came to `response` at the instant `now`.

        Puts into the response's actions the trace contexts that the tasks they ask for are to have. Returns what is to
        be called once the turn is on disk: so no turn is told of twice, however often a crash has it run.
        """
        ...

    def operations(
        self, request: pb.EntityBatchRequest, messages: Sequence[pb.HistoryEvent], trace_of: TraceOf
    ) -> None:
        """Operations of an entity are about to run, each for one of `messages`.

        Puts into the request the trace contexts of the calls that they come from. `trace_of` gives an orchestration's.
        """
        ...


def trace_of(instances: Instances, instance_id: str) -> pb.TraceContext | None:
    """What the orchestration was started with; None when it is gone or part of no trace."""
    instance = instances.peek(instance_id)
    if instance is None:
        return None
    events = instance.history or instances.journal.history(instance.key)
    started = next((each.executionStarted for each in events if each.HasField("executionStarted")), None)
    return started.parentTraceContext if started is not None and started.HasField("parentTraceContext") else None
