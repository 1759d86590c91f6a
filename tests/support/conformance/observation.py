"""What can be seen of a program that is over, as lines of text that two hubs can be compared by.

Left out or made alike are only times, random ids and stack traces. Where completions race, what the protocol gives no
order has none here either, see `Order`.
"""

import enum
import itertools
import json
import re
from collections.abc import Iterable
from typing import Any, Final

from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.message import Message

from tests.support.conformance.run import Run

_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b[0-9a-f]{32}\b")
_STAMP: Final = "google.protobuf.Timestamp"
_OF_A_RUN: Final = (
    "stackTrace",
    "parentTraceContext",
    "executionId",
    "parentExecutionId",
    "orchestrationSpanID",
    "timestamp",
)
_TURNS: Final = ("orchestratorStarted", "orchestratorCompleted")
_ARRIVALS: Final = (
    "taskCompleted",
    "taskFailed",
    "subOrchestrationInstanceCompleted",
    "subOrchestrationInstanceFailed",
    "timerFired",
    "eventRaised",
    "entityOperationCompleted",
    "entityOperationFailed",
    "entityLockGranted",
)


class Order(enum.Enum):
    """What order the history of a program has."""

    EXACT = "the same in every run, turn by turn"
    RACING = "completions come in any order and share turns as it happens: turns are left out, neighbours sorted"
    BAG = "what is done next depends on which completion came first: the events are compared without any order"


async def observe(run: Run, order: Order) -> list[str]:
    """Look at everything the program noted, watched and touched."""
    lines = [f"note {what}: {json.dumps(value, default=str, sort_keys=True)}" for what, value in run.notes]
    for instance_id in run.watched:
        lines += await _instance(run, instance_id, order)
    for entity_id in run.entities:
        answer = await run.stub.GetEntity(pb.GetEntityRequest(instanceId=str(entity_id), includeState=True))
        lines += [f"entity {entity_id}> {line}" for line in fields(answer)]
    return _with_small_ids(lines)


async def _instance(run: Run, instance_id: str, order: Order) -> list[str]:
    request = pb.GetInstanceRequest(instanceId=instance_id, getInputsAndOutputs=True)
    lines = [f"state {instance_id}> {line}" for line in fields(await run.stub.GetInstance(request))]
    events = await run.history(instance_id)
    for event in _in_order(events, order):
        lines += [f"history {instance_id}> {line}" for line in event]
    for event in events:
        child = event.subOrchestrationInstanceCreated.instanceId
        if child and child not in run.watched:
            lines += await _instance(run, child, order)
    return lines


def _in_order(events: Iterable[pb.HistoryEvent], order: Order) -> list[list[str]]:
    if order is Order.EXACT:
        return [_event(event) for event in events]
    untimed = [event for event in events if event.WhichOneof("eventType") not in _TURNS]
    if order is Order.BAG:
        return sorted((_event(event) for event in untimed), key=_place)
    runs = itertools.groupby(untimed, lambda event: event.WhichOneof("eventType") in _ARRIVALS)
    blocks = ((arrived, [_event(event) for event in run]) for arrived, run in runs)
    return [event for arrived, block in blocks for event in (sorted(block, key=_place) if arrived else block)]


def _place(event: list[str]) -> list[str]:
    """By what is in it: whether nothing is said with an empty field or without one makes no difference."""
    return [line for line in event if not line.endswith(" is empty")]


def _event(event: pb.HistoryEvent) -> list[str]:
    kind = str(event.WhichOneof("eventType"))
    return [f"{kind} #{event.eventId}", *(f"  {line}" for line in fields(getattr(event, kind)))]


def fields(message: Message, prefix: str = "") -> list[str]:
    """Every field that is set, one line each, in the order of their names."""
    lines: list[str] = []
    for descriptor, value in message.ListFields():
        if descriptor.name in _OF_A_RUN:
            continue
        lines += _field(f"{prefix}.{descriptor.name}", value, descriptor)
    return sorted(lines)


def _field(path: str, value: Any, descriptor: Any) -> list[str]:
    if descriptor.message_type is not None and descriptor.message_type.GetOptions().map_entry:
        return [f"{path}[{key!r}] = {value[key]!r}" for key in sorted(value)]
    if descriptor.is_repeated:
        return [line for index, each in enumerate(value) for line in _one(f"{path}[{index}]", each, descriptor)]
    return _one(path, value, descriptor)


def _one(path: str, value: Any, descriptor: Any) -> list[str]:
    if descriptor.enum_type is not None:
        return [f"{path} = {descriptor.enum_type.values_by_number[value].name}"]
    if descriptor.message_type is None:
        return [f"{path} = {value!r}"]
    if descriptor.message_type.full_name == _STAMP:
        return [f"{path} = a time"]
    return fields(value, path) or [f"{path} is empty"]


def _with_small_ids(lines: list[str]) -> list[str]:
    """Random ids numbered in the order in which they appear."""
    numbers: dict[str, str] = {}

    def small(found: re.Match[str]) -> str:
        return numbers.setdefault(found.group(), f"id-{len(numbers) + 1}")

    return [_UUID.sub(small, line) for line in lines]
