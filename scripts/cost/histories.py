"""Counts the events of an orchestration and of all that it began: what a task hub stores, and what it bills."""

from collections import Counter

from durabletask.internal import orchestrator_service_pb2 as pb

from devhost.taskhub.hub_client import HubClient
from scripts.cost.counts import DurableCounts

_KINDS = {
    "executionStarted": "started",
    "taskScheduled": "tasks",
    "taskCompleted": "task_results",
    "taskFailed": "task_results",
    "subOrchestrationInstanceCompleted": "nested_results",
    "subOrchestrationInstanceFailed": "nested_results",
    "timerFired": "timers_fired",
    "eventRaised": "events_raised",
    "executionTerminated": "interventions",
    "executionSuspended": "interventions",
    "executionResumed": "interventions",
    "orchestratorStarted": "turns",
}


async def counted_histories(hub: HubClient, instance_id: str) -> DurableCounts:
    """The events of an orchestration and its nested ones, however deep, once all of them are over."""
    counts: Counter[str] = Counter()
    waiting = [instance_id]
    while waiting:
        for event in await hub.history(waiting.pop()):
            waiting += count(event, counts)
    return DurableCounts(**counts)


def count(event: pb.HistoryEvent, counts: Counter[str]) -> list[str]:
    """Count one event; the orchestration that it says was begun, if it does."""
    kind = str(event.WhichOneof("eventType"))
    counts["events"] += 1
    counts["bytes"] += event.ByteSize()
    if kind in _KINDS:
        counts[_KINDS[kind]] += 1
    return [event.subOrchestrationInstanceCreated.instanceId] if kind == "subOrchestrationInstanceCreated" else []
