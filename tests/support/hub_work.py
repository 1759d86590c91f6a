"""Orchestrations of every kind, for a hub that is killed under them, and what each of them must end with.

An activity is told a key that nothing else has, and writes to the journal when it begins and when it ends.
"""

import os
from collections.abc import Callable, Generator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from durabletask import task
from durabletask.entities import DurableEntity, EntityInstanceId

from tests.support.conformance.catalog import Functions

type Steps = Generator[task.Task[Any], Any, Any]

SHARED: Final = 5
_NAP: Final = timedelta(milliseconds=15)


def tally_of(slot: int) -> EntityInstanceId:
    """The entity that counts for this slot and others."""
    return EntityInstanceId("tally", f"shared-{slot % SHARED}")


def accounts() -> list[EntityInstanceId]:
    """What every transfer takes from, and what it gives to."""
    return [EntityInstanceId("tally", "from"), EntityInstanceId("tally", "to")]


class Tally(DurableEntity):
    """A number that operations are applied to."""

    def add(self, amount: int) -> int:
        value = self.get_state(int, 0) + amount
        self.set_state(value)
        return value


def chain(ctx: task.OrchestrationContext, steps: int) -> Steps:
    number = 0
    for step in range(steps):
        number = yield ctx.call_activity("plus", input=[f"{ctx.instance_id}/{step}", number])
    return number


def fan(ctx: task.OrchestrationContext, width: int) -> Steps:
    calls: list[task.Task[Any]] = [
        ctx.call_activity("plus", input=[f"{ctx.instance_id}/{each}", each]) for each in range(width)
    ]
    results = yield task.when_all(calls)
    return sum(results)


def naps(ctx: task.OrchestrationContext, times: int) -> Steps:
    number = 0
    for step in range(times):
        yield ctx.create_timer(_NAP)
        number = yield ctx.call_activity("plus", input=[f"{ctx.instance_id}/{step}", number])
    return number


def hearing(ctx: task.OrchestrationContext, count: int) -> Steps:
    """Each event is raised by a client until it knows that it arrived, so each has a name of its own."""
    heard: list[Any] = []
    for number in range(count):
        heard += [(yield ctx.wait_for_external_event(f"event-{number}"))]
    return heard


def listening(ctx: task.OrchestrationContext, count: int) -> Steps:
    """Events from another orchestration arrive once each, so that they may share a name."""
    heard: list[Any] = []
    for _ in range(count):
        heard += [(yield ctx.wait_for_external_event("number"))]
    return heard


def telling(ctx: task.OrchestrationContext, count: int) -> Steps:
    listener = f"{ctx.instance_id}-listener"
    child: task.Task[Any] = ctx.call_sub_orchestrator("listening", input=count, instance_id=listener)
    for number in range(count):
        ctx.send_event(listener, "number", data=number)
        yield ctx.call_activity("plus", input=[f"{ctx.instance_id}/{number}", number])
    heard = yield child
    return heard


def family(ctx: task.OrchestrationContext, depth: int) -> Steps:
    if depth == 0:
        result = yield ctx.call_activity("plus", input=[f"{ctx.instance_id}/leaf", 0])
        return result
    results = yield task.when_all([ctx.call_sub_orchestrator("family", input=depth - 1) for _ in range(2)])
    return sum(results)


def lives(ctx: task.OrchestrationContext, asked: list[int]) -> Steps:
    left, number = asked
    number = yield ctx.call_activity("plus", input=[f"{ctx.instance_id}/{left}", number])
    if left == 1:
        return number
    ctx.continue_as_new([left - 1, number])


def counting(ctx: task.OrchestrationContext, slot: int) -> Steps:
    yield ctx.call_entity(tally_of(slot), "add", 1)
    ctx.signal_entity(tally_of(slot), "add", 1)
    source, target = accounts()
    with (yield ctx.lock_entities([source, target])):
        yield ctx.call_entity(source, "add", -1)
        yield ctx.call_entity(target, "add", 1)
    yield ctx.call_entity(tally_of(slot), "add", 1)
    return "counted"


# What each kind is started with, by its slot, and what it must end with.
KINDS: Final[dict[str, tuple[Callable[[int], Any], Any]]] = {
    "chain": (lambda _: 5, 5),
    "fan": (lambda _: 6, 21),
    "naps": (lambda _: 3, 3),
    "hearing": (lambda _: 3, ["heard 0", "heard 1", "heard 2"]),
    "telling": (lambda _: 3, [0, 1, 2]),
    "family": (lambda _: 2, 4),
    "lives": (lambda _: [4, 0], 4),
    "counting": (lambda slot: slot, "counted"),
}
EVENTS: Final = 3
COUNTED: Final = 3


def functions(journal: Path) -> Functions:
    """All of them. The journal is appended to with writes that are never torn."""
    file = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def plus(_: task.ActivityContext, asked: list[Any]) -> int:
        key, number = asked
        os.write(file, f"B {key}\n".encode())
        os.write(file, f"E {key}\n".encode())
        return int(number) + 1

    orchestrators: list[Callable[[task.OrchestrationContext, Any], Any]] = [
        chain,
        fan,
        naps,
        hearing,
        listening,
        telling,
        family,
        lives,
        counting,
    ]
    return Functions({each.__name__: each for each in orchestrators}, {"plus": plus}, {"tally": Tally})
