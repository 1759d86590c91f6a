"""Has failed orchestrations try again, with the failed sub-orchestrations that they wait for.

The worker's protocol has a turn of its own for this, in which the worker rewrites the history. Here the hub rewrites it
(`rewinding.rewound` gives the same history), so that rewinding is one change, whole on disk or not at all.
"""

from collections import deque

from durabletask.internal import orchestrator_service_pb2 as pb

from devhost.taskhub.engine import events
from devhost.taskhub.engine.engine import Engine
from devhost.taskhub.engine.instance import Instance, Parent, Pending
from devhost.taskhub.engine.outstanding import outstanding
from devhost.taskhub.operations.rewinding import execution_rewound, rewound


def rewind(engine: Engine, instance: Instance, reason: str | None) -> None:
    """Begin another execution of a failed instance, from its history without the failures.

    Activities and timers that were under way when it failed begin again; results that came since are kept. The failed
    sub-orchestrations that it waits for are rewound too, however deep they are nested.
    """
    _begin_execution(engine, instance, reason, None)
    rewinding = [instance]
    waiting = deque(_go_on_with_children(engine, instance))
    while waiting:
        parent, child_id = waiting.popleft()
        # Looked up only now: one that has not changed yet may leave the memory meanwhile.
        child = engine.context.instances.find(child_id)
        if child is not None:
            _begin_execution(engine, child, reason, parent)
            rewinding.append(child)
            waiting += _go_on_with_children(engine, child)
    for each in reversed(rewinding):
        engine.context.instances.on_event(each)


def _begin_execution(engine: Engine, instance: Instance, reason: str | None, parent: Parent | None) -> None:
    """`parent` is the execution that waits for it, when that is rewound too."""
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


def _go_on_with_children(engine: Engine, instance: Instance) -> list[tuple[Parent, str]]:
    """Have the rewound instance get its results; returns the ids of the sub-orchestrations to be rewound for that."""
    created = {event.eventId: event for event in instance.history if event.HasField("subOrchestrationInstanceCreated")}
    failed: list[tuple[Parent, str]] = []
    for task_id in list(instance.children):
        parent = Parent(instance.id, instance.execution_id, task_id)
        asked = created[task_id].subOrchestrationInstanceCreated
        if not _goes_on(engine, asked, parent):
            failed.append((parent, asked.instanceId))
    return failed


def _goes_on(engine: Engine, asked: pb.SubOrchestrationInstanceCreatedEvent, parent: Parent) -> bool:
    """Have `parent` get a result of the sub-orchestration that was asked for; False when that must be rewound first."""
    child = engine.context.instances.find(asked.instanceId)
    if child is None or child.parent is None or child.parent.instance_id != parent.instance_id:
        engine.lifecycle.begin_child(asked, parent)
    elif child.status == pb.ORCHESTRATION_STATUS_FAILED:
        return False
    elif child.finished:
        _report(engine, child, parent)
    else:
        child.parent = parent
        engine.context.instances.touch(child)
    return True


def _report(engine: Engine, child: Instance, parent: Parent) -> None:
    now, output = engine.context.timers.now(), engine.context.journal.output_text(child.key)
    if child.status == pb.ORCHESTRATION_STATUS_COMPLETED:
        event = events.child_completed(now, parent.task_id, output)
    else:
        why = f"the sub-orchestration '{child.id}' was terminated{f': {output}' if output else ''}"
        failure = pb.TaskFailureDetails(errorType="OrchestrationTerminated", errorMessage=why)
        event = events.child_failed(now, parent.task_id, failure)
    engine.lifecycle.report(parent, child.id, event)
