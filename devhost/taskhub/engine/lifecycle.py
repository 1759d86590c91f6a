"""How executions begin and end: started, continued as new, finished, terminated."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from durabletask.internal import orchestrator_service_pb2 as pb

from devhost.taskhub.engine import events
from devhost.taskhub.engine.context import Context
from devhost.taskhub.engine.instance import Instance, Parent, Pending


class AlreadyExists(Exception):
    """The instance id belongs to an orchestration that may not be replaced."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """What an orchestration is started with. An empty `instance_id` has one made; `scheduled_at` is an instant."""

    name: str
    instance_id: str = ""
    version: str | None = None
    input: str | None = None
    scheduled_at: int | None = None
    tags: dict[str, str] = field(default_factory=dict)
    trace_context: pb.TraceContext | None = None
    parent: Parent | None = None


class Lifecycle:
    """Begins and ends executions, in memory; the next commit writes it."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._instances = context.instances
        #: Called with each execution that is over, so that whoever keeps something of it can let it go.
        self.on_execution_ended: Callable[[Instance], None] = lambda _: None

    def begin(self, beginning: Beginning, replaceable: Iterable[int] | None = None) -> Instance:
        """Create an instance, in the place of one with the same id that has finished.

        `replaceable` names the statuses that an instance with the same id may have; None stands for all finished ones.
        Raises `AlreadyExists`.
        """
        instance_id = beginning.instance_id or self._context.ids.new()
        self._make_room(instance_id, replaceable)
        now = self._context.timers.now()
        instance = Instance(
            key=self._context.journal.new_key(),
            id=instance_id,
            name=beginning.name,
            execution_id=self._context.ids.new(),
            created_at=now,
            updated_at=now,
            version=self._context.versioning.of_new(beginning.version),
            scheduled_at=beginning.scheduled_at,
            parent=beginning.parent,
            tags=beginning.tags,
        )
        self._instances.add(instance)
        self._context.journal.set_input(instance, beginning.input)
        if beginning.scheduled_at is not None and beginning.scheduled_at > now:
            self.hold(instance, beginning.scheduled_at)
        self._instances.deliver(instance, events.execution_started(now, _started(instance, beginning)))
        return instance

    def hold(self, instance: Instance, until: int) -> None:
        """Begin with the instance's first turn no sooner than `until`, an instant."""
        instance.held_until = until

        def release() -> None:
            instance.held_until = None
            self._instances.on_event(instance)

        self._context.timers.set(instance.key, -1, until, release)

    def continue_as_new(self, instance: Instance, action: pb.CompleteOrchestrationAction) -> None:
        """Begin the next execution of the instance, with what this one carries over and what came for it since."""
        now = self._context.timers.now()
        started = pb.ExecutionStartedEvent()
        started.CopyFrom(instance.started_event().executionStarted)
        self._end_execution(instance)
        instance.execution_id = self._context.ids.new()
        instance.status = pb.ORCHESTRATION_STATUS_PENDING
        if action.HasField("newVersion"):
            instance.version = action.newVersion.value
            started.version.value = action.newVersion.value
        started.ClearField("input")
        if action.HasField("result"):
            started.input.CopyFrom(action.result)
        started.orchestrationInstance.executionId.value = instance.execution_id
        self._context.journal.set_input(instance, action.result.value if action.HasField("result") else None)
        came = [each for each in instance.inbox if self._instances.outlives_execution(each.event)]
        self._context.journal.consume(each for each in instance.inbox if each not in came)
        carried = [Pending(event) for event in action.carryoverEvents]
        for pending in carried:
            pending.event.timestamp.CopyFrom(events.timestamp(now))
        instance.inbox = [Pending(events.execution_started(now, started)), *carried, *came]
        instance.activities = {}
        instance.children = {}
        instance.rewrite_history([])
        self._instances.touch(instance)
        self._instances.on_event(instance)

    def finish(self, instance: Instance, action: pb.CompleteOrchestrationAction) -> None:
        """End the instance; its parent hears of it."""
        now = self._context.timers.now()
        output = action.result.value if action.HasField("result") else None
        self._end_execution(instance)
        instance.status = action.orchestrationStatus
        instance.completed_at = now
        instance.failure = action.failureDetails if action.HasField("failureDetails") else None
        instance.history.append(events.execution_completed(now, action))
        self._context.journal.set_output(instance, output)
        late, instance.inbox = instance.inbox, []
        self._context.journal.consume(late)
        if instance.status == pb.ORCHESTRATION_STATUS_FAILED:
            instance.history += [each.event for each in late if not self._instances.outlives_execution(each.event)]
        else:
            instance.activities = {}
        self._instances.touch(instance)
        self._report_to_parent(instance, output)

    def terminate(self, instance: Instance, output: str | None, *, recursive: bool) -> None:
        """Have the instance end with its next turn; one that has not begun ends at once."""
        if instance.finished:
            return
        now = self._context.timers.now()
        event = events.execution_terminated(now, output, recursive=recursive)
        if instance.held_until is None:
            self._instances.deliver(instance, event)
            return
        waiting, instance.inbox = instance.inbox, []
        self._context.journal.consume(waiting)
        instance.history += [each.event for each in waiting] + [event]
        ended = pb.CompleteOrchestrationAction(
            orchestrationStatus=pb.ORCHESTRATION_STATUS_TERMINATED, result=events.text(output)
        )
        self.finish(instance, ended)

    def terminate_children(self, instance: Instance, output: str | None) -> None:
        """Have all sub-orchestrations end that the instance waits for, and theirs."""
        for child_id in list(instance.children.values()):
            child = self._instances.find(child_id)
            if child is not None and child.parent is not None and child.parent.instance_id == instance.id:
                self.terminate(child, output, recursive=True)

    def begin_child(
        self, asked: pb.CreateSubOrchestrationAction | pb.SubOrchestrationInstanceCreatedEvent, parent: Parent
    ) -> None:
        """Create the sub-orchestration that `parent` waits for; one that cannot be is reported to it as failed."""
        beginning = Beginning(
            name=asked.name,
            instance_id=asked.instanceId,
            version=asked.version.value if asked.HasField("version") else None,
            input=asked.input.value if asked.HasField("input") else None,
            tags=dict(asked.tags),
            trace_context=asked.parentTraceContext if asked.HasField("parentTraceContext") else None,
            parent=parent,
        )
        try:
            self.begin(beginning)
        except AlreadyExists as refused:
            failure = pb.TaskFailureDetails(errorType="OrchestrationAlreadyExists", errorMessage=str(refused))
            failed = events.child_failed(self._context.timers.now(), parent.task_id, failure)
            self.report(parent, asked.instanceId, failed)

    def report(self, parent: Parent, child_id: str, event: pb.HistoryEvent) -> None:
        """Tell the execution that waits for a sub-orchestration what came of it; nobody may wait any more."""
        instance = self._instances.find(parent.instance_id)
        if instance is None or instance.execution_id != parent.execution_id:
            return
        if instance.children.get(parent.task_id) == child_id:
            del instance.children[parent.task_id]
            self._instances.deliver(instance, event)

    def _report_to_parent(self, child: Instance, output: str | None) -> None:
        if child.parent is None:
            return
        now, task_id = self._context.timers.now(), child.parent.task_id
        if child.status == pb.ORCHESTRATION_STATUS_COMPLETED:
            event = events.child_completed(now, task_id, output)
        else:
            event = events.child_failed(now, task_id, child.failure or _terminated(child, output))
        self.report(child.parent, child.id, event)

    def _end_execution(self, instance: Instance) -> None:
        self._context.timers.cancel(instance.key)
        instance.held_until = None
        self.on_execution_ended(instance)

    def _make_room(self, instance_id: str, replaceable: Iterable[int] | None) -> None:
        existing = self._instances.peek(instance_id)
        if existing is None:
            return
        if not (existing.finished if replaceable is None else existing.status in replaceable):
            status = pb.OrchestrationStatus.Name(existing.status).removeprefix("ORCHESTRATION_STATUS_").lower()
            raise AlreadyExists(f"the orchestration '{instance_id}' already exists and is {status}")
        if not existing.finished:
            self._end_execution(existing)
        self._instances.remove(existing)


def _started(instance: Instance, beginning: Beginning) -> pb.ExecutionStartedEvent:
    parent, scheduled_at = beginning.parent, beginning.scheduled_at
    return pb.ExecutionStartedEvent(
        name=instance.name,
        version=events.text(instance.version),
        input=events.text(beginning.input),
        orchestrationInstance=pb.OrchestrationInstance(
            instanceId=instance.id, executionId=events.text(instance.execution_id)
        ),
        parentInstance=None if parent is None else events.parent_info(parent),
        scheduledStartTimestamp=None if scheduled_at is None else events.timestamp(scheduled_at),
        parentTraceContext=beginning.trace_context,
        tags=instance.tags,
    )


def _terminated(child: Instance, output: str | None) -> pb.TaskFailureDetails:
    why = f": {output}" if output else ""
    return pb.TaskFailureDetails(
        errorType="OrchestrationTerminated", errorMessage=f"the sub-orchestration '{child.id}' was terminated{why}"
    )
