"""Has failed orchestrations try again, with the failed sub-orchestrations that they wait for.

The worker's protocol has a turn of its own for this, in which the worker rewrites the history. Here the hub rewrites it
(`rewinding.rewound` gives the same history), so that rewinding is one change, whole on disk or not at all.
"""

from durabletask.internal import orchestrator_service_pb2 as pb

from devhost.taskhub.engine import events
from devhost.taskhub.engine.engine import Engine
from devhost.taskhub.engine.instance import Instance, Parent, Pending
from devhost.taskhub.engine.lifecycle import AlreadyExists, Beginning
from devhost.taskhub.engine.outstanding import outstanding
from devhost.taskhub.operations.rewinding import execution_rewound, rewound


def rewind(engine: Engine, instance: Instance, reason: str | None, parent: Parent | None = None) -> None:
    """Begin another execution of a failed instance, from its history without the failures.

    Activities and timers that were under way when it failed begin again; results that came since are kept. `parent` is
    the execution that waits for it, when that is rewound too.
    """
    context = engine.context
    if parent is not None:
        instance.parent = parent
    execution_id = parent.execution_id if parent is not None else None
    instance.execution_id = context.ids.new()
    history = rewound(instance.history, execution_id=instance.execution_id, parent_execution_id=execution_id)
    instance.rewrite_history(history)
    instance.inbox = [Pending(execution_rewound(context.timers.now(), reason, execution_id))]
    instance.status = pb.ORCHESTRATION_STATUS_RUNNING
    instance.completed_at = instance.failure = None
    context.journal.set_output(instance, None)
    context.instances.touch(instance)
    engine.actions.resume_outstanding(instance, outstanding(history))
    created = {event.eventId: event for event in history if event.HasField("subOrchestrationInstanceCreated")}
    for task_id in list(instance.children):
        _go_on(engine, instance, created[task_id], reason)
    context.instances.on_event(instance)


def _go_on(engine: Engine, instance: Instance, created: pb.HistoryEvent, reason: str | None) -> None:
    """Have the rewound instance get a result from the sub-orchestration that `created` began."""
    asked = created.subOrchestrationInstanceCreated
    parent = Parent(instance.id, instance.execution_id, created.eventId)
    child = engine.context.instances.find(asked.instanceId)
    if child is None or child.parent is None or child.parent.instance_id != instance.id:
        _begin_again(engine, asked, parent)
    elif child.status == pb.ORCHESTRATION_STATUS_FAILED:
        rewind(engine, child, reason, parent)
    elif child.finished:
        _report(engine, child, parent)
    else:
        child.parent = parent
        engine.context.instances.touch(child)


def _begin_again(engine: Engine, asked: pb.SubOrchestrationInstanceCreatedEvent, parent: Parent) -> None:
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
        engine.lifecycle.begin(beginning)
    except AlreadyExists as refused:
        failure = pb.TaskFailureDetails(errorType="OrchestrationAlreadyExists", errorMessage=str(refused))
        failed = events.child_failed(engine.context.timers.now(), parent.task_id, failure)
        engine.lifecycle.report(parent, asked.instanceId, failed)


def _report(engine: Engine, child: Instance, parent: Parent) -> None:
    now, output = engine.context.timers.now(), engine.context.journal.output_text(child.key)
    if child.status == pb.ORCHESTRATION_STATUS_COMPLETED:
        event = events.child_completed(now, parent.task_id, output)
    else:
        why = f"the sub-orchestration '{child.id}' was terminated{f': {output}' if output else ''}"
        failure = pb.TaskFailureDetails(errorType="OrchestrationTerminated", errorMessage=why)
        event = events.child_failed(now, parent.task_id, failure)
    engine.lifecycle.report(parent, child.id, event)
