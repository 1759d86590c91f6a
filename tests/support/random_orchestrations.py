"""Random orchestrators: a program is JSON, drawn from a seed, and one generator function runs whatever it says.

What comes of its steps, in which order and in which turns, is drawn as well.
"""

import json
from collections.abc import Generator, Sequence
from datetime import timedelta
from random import Random
from typing import Any

import azure.durable_functions as df
from durabletask import task
from durabletask.entities import EntityInstanceId
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import StringValue

from tests.support.turn_driver import TurnDriver, failure, success

type Steps = Generator[task.Task[Any], Any, Any]
EVENTS = ("go", "Stop", "other")
LEAVES = ("call", "call", "call", "retried", "child", "retried_child", "timer", "event", "entity")
RETRY = task.RetryPolicy(first_retry_interval=timedelta(seconds=2), max_number_of_attempts=3, backoff_coefficient=2)


def make_app() -> df.DFApp:
    """The orchestrator `program`, which runs its input."""
    app = df.DFApp()

    @app.orchestration_trigger(context_name="ctx")
    def program(ctx: task.OrchestrationContext, statements: list[Any]) -> Steps:
        told: list[Any] = []
        for statement in statements:
            if statement[0] == "again":
                ctx.continue_as_new(statement[1], save_events=statement[2])
                return "not said"
            if statement[0] == "raise":
                raise ValueError(f"after {told}")
            told.append((yield from run_statement(ctx, statement)))
        return told

    return app


def run_statement(ctx: task.OrchestrationContext, statement: list[Any]) -> Steps:
    kind, rest = statement[0], statement[1:]
    if kind in WAITS:
        return (yield from WAITS[kind](ctx, *rest))
    return ACTS[kind](ctx, *rest)


# -- what a program may wait for -----------------------------------------------------------------------------------


def leaf(ctx: task.OrchestrationContext, kind: str, number: int) -> task.Task[Any]:
    match kind:
        case "call" | "retried":
            policy = RETRY if kind == "retried" else None
            return ctx.call_activity(f"activity{number % 3}", input={"number": number}, retry_policy=policy)
        case "child" | "retried_child":
            policy = RETRY if kind == "retried_child" else None
            return ctx.call_sub_orchestrator(f"child{number % 3}", input=number, retry_policy=policy)
        case "timer":
            return ctx.create_timer(timedelta(hours=number * 20))
        case "event":
            return ctx.wait_for_external_event(EVENTS[number % 3])
        case _:
            return ctx.call_entity(EntityInstanceId("counter", f"k{number % 3}"), "add", number)


def wait_one(ctx: task.OrchestrationContext, kind: str, number: int) -> Steps:
    try:
        return (yield leaf(ctx, kind, number))
    except task.TaskFailedError as error:
        return f"failed: {error.details.message}"


def wait_one_or_fail(ctx: task.OrchestrationContext, kind: str, number: int) -> Steps:
    return (yield leaf(ctx, kind, number))


def wait_all(ctx: task.OrchestrationContext, leaves: list[Any]) -> Steps:
    try:
        return (yield task.when_all([leaf(ctx, *each) for each in leaves]))
    except task.TaskFailedError as error:
        return f"failed: {error.details.message}"


def wait_any(ctx: task.OrchestrationContext, leaves: list[Any]) -> Steps:
    tasks = [leaf(ctx, *each) for each in leaves]
    first = yield task.when_any(tasks)
    return [tasks.index(first), first.is_failed or first.get_result()]


def race(ctx: task.OrchestrationContext, event: str, hours: int) -> Steps:
    """An event against a timer, which is cancelled when it loses."""
    timer, raised = ctx.create_timer(timedelta(hours=hours)), ctx.wait_for_external_event(event)
    first = yield task.when_any([timer, raised])
    if first is timer:
        return "too late"
    timer.cancel()
    return raised.get_result()


def locked(ctx: task.OrchestrationContext, numbers: list[int]) -> Steps:
    keys = [EntityInstanceId("counter", f"k{number}") for number in numbers]
    with (yield ctx.lock_entities(keys)):
        for key in keys:
            yield ctx.call_entity(key, "add", 1)


WAITS: dict[str, Any] = {
    "wait": wait_one,
    "must": wait_one_or_fail,
    "all": wait_all,
    "any": wait_any,
    "race": race,
    "locked": locked,
}


# -- what a program does without waiting -----------------------------------------------------------------------------


def signal(ctx: task.OrchestrationContext, number: int) -> None:
    ctx.signal_entity(EntityInstanceId("counter", f"k{number % 3}"), "add", number)


ACTS: dict[str, Any] = {
    "status": lambda ctx, value: ctx.set_custom_status(value),
    "uuid": lambda ctx: ctx.new_uuid(),
    "now": lambda ctx: ctx.current_utc_datetime.isoformat(),
    "signal": signal,
    "send": lambda ctx, number: ctx.send_event("another", EVENTS[number % 3], data=number),
    "forgotten": lambda ctx, kind, number: str(leaf(ctx, kind, number).is_complete),
}


# -- programs and what comes of them, drawn --------------------------------------------------------------------------


def draw_program(random: Random, *, deep: int = 0) -> list[Any]:
    """Statements, with at most two executions after this one."""
    statements = [draw_statement(random) for _ in range(random.randint(1, 6))]
    if deep < 2 and random.random() < 0.2:
        statements.append(["again", draw_program(random, deep=deep + 1), random.random() < 0.5])
    elif random.random() < 0.1:
        statements.append(["raise"])
    return statements


def draw_statement(random: Random) -> list[Any]:
    def one() -> list[Any]:
        return [random.choice(LEAVES), random.randint(0, 9)]

    def some() -> list[Any]:
        return [one() for _ in range(random.randint(1, 4))]

    draws: Sequence[Any] = (
        lambda: ["wait", *one()],
        lambda: ["wait", *one()],
        lambda: ["must", random.choice(("call", "timer", "event")), random.randint(0, 9)],
        lambda: ["all", some()],
        lambda: ["any", some()],
        lambda: ["race", random.choice(EVENTS), random.randint(1, 200)],
        lambda: ["locked", random.sample(range(3), random.randint(1, 3))],
        lambda: ["status", random.randint(0, 9)],
        lambda: ["uuid"],
        lambda: ["now"],
        lambda: ["signal", random.randint(0, 9)],
        lambda: ["send", random.randint(0, 9)],
        lambda: ["forgotten", *one()],
    )
    statement: list[Any] = random.choice(draws)()
    return statement


class RandomRun(TurnDriver):
    """A random program and a random world around it."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.program = draw_program(self.random)
        super().__init__("program", json.dumps(self.program))
        self.decide = self._fate
        self.paused = False

    def _fate(self, action: pb.OrchestratorAction) -> pb.HistoryEvent | None:
        return failure(action) if self.random.random() < 0.25 else success(action)

    def come(self) -> None:
        """Let something come before the next turn: some of what is outstanding, events, a pause, or the end."""
        if self.paused:
            self.paused = False
            self.inbox.append(plain("executionResumed"))
        for event in self.random.sample(self.outstanding, min(len(self.outstanding), self.random.randint(0, 4))):
            self.deliver(event)
        if not self.inbox or self.random.random() < 0.3:
            # Names compare without regard to case.
            self.raise_event(self.random.choice(EVENTS).upper(), self.turns)
        if self.random.random() < 0.1:
            self.paused = self.random.random() < 0.5
            # What is held back within a turn may cancel a timer that the turn has asked for, which the SDK takes for a
            # divergence one turn later: nothing comes after a suspension that lasts.
            place = len(self.inbox) if self.paused else self.random.randint(0, len(self.inbox))
            self.inbox.insert(place, plain("executionSuspended"))
            if not self.paused:
                self.inbox.append(plain("executionResumed"))
        if self.random.random() < 0.01:
            self.paused = False
            self.inbox.append(plain("executionTerminated", input=StringValue(value='"enough"')))


def plain(kind: str, **fields: Any) -> pb.HistoryEvent:
    detail = pb.HistoryEvent.DESCRIPTOR.fields_by_name[kind].message_type._concrete_class(**fields)
    return pb.HistoryEvent(eventId=-1, timestamp=Timestamp(), **{kind: detail})
