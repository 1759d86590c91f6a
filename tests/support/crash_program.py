"""Orchestrations of every kind, and what is right about them whatever happens to the process meanwhile."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import azure.durable_functions as df
from durabletask import task
from durabletask.entities import EntityInstanceId
from durabletask.internal import orchestrator_service_pb2 as pb

from devhost.clock import ManualClock
from devhost.taskhub.engine.commits import StoreFailed
from devhost.taskhub.engine.crash_points import Crashed
from devhost.taskhub.engine.engine import Engine
from devhost.taskhub.engine.lifecycle import AlreadyExists
from tests.support.engine_ground import EngineGround
from tests.support.hub_app import Steps

_HOUR = timedelta(hours=1)
_COUNTER = EntityInstanceId("counter", "all")

#: The orchestrations of the program, by id: function, input, and what it ends with.
PROGRAM: Final[dict[str, tuple[str, str | None, str]]] = {
    "chain": ("chain", "4", '"chain-3"'),
    "fan": ("fan", "7", "7"),
    "sleeper": ("sleeper", None, '"sleeper-0"'),
    "parent": ("parent", None, '["parent-child-1", "parent-grandchild-0"]'),
    "waiter": ("waiter", None, '"hello"'),
    "loop": ("loop", "0", '"loop-3"'),
    "sender": ("sender", None, '"sent"'),
    "receiver": ("receiver", None, '"from sender"'),
    "catcher": ("catcher", None, '"caught"'),
    "adder-1": ("adder", None, '"added"'),
    "adder-2": ("adder", None, '"added"'),
    "adder-3": ("adder", None, '"added"'),
    "auditor": ("auditor", None, "33"),
}


def make_app(done: Callable[[str], None]) -> df.DFApp:
    """The program's functions. `done` is told the name of each activity that has ended."""
    app = df.DFApp()
    _add_activities(app, done)
    _add_flows(app)
    _add_conversations(app)
    _add_counting(app)
    return app


def _add_activities(app: df.DFApp, done: Callable[[str], None]) -> None:
    @app.activity_trigger(input_name="name")
    async def step(name: str) -> str:
        await asyncio.sleep(0)
        done(name)
        return name

    @app.activity_trigger(input_name="name")
    async def broken(name: str) -> str:
        done(name)
        raise ValueError(name)


def _add_flows(app: df.DFApp) -> None:
    @app.orchestration_trigger(context_name="ctx")
    def chain(ctx: task.OrchestrationContext, steps: int) -> Steps:
        last = ""
        for number in range(steps):
            last = yield ctx.call_activity("step", input=f"{ctx.instance_id}-{number}")
        return last

    @app.orchestration_trigger(context_name="ctx")
    def fan(ctx: task.OrchestrationContext, width: int) -> Steps:
        names = [f"{ctx.instance_id}-{number}" for number in range(width)]
        results = yield task.when_all([ctx.call_activity("step", input=each) for each in names])
        return len(set(results))

    @app.orchestration_trigger(context_name="ctx")
    def sleeper(ctx: task.OrchestrationContext, _: None) -> Steps:
        yield ctx.create_timer(_HOUR)
        result = yield ctx.call_activity("step", input=f"{ctx.instance_id}-0")
        return result

    @app.orchestration_trigger(context_name="ctx")
    def parent(ctx: task.OrchestrationContext, _: None) -> Steps:
        first: task.Task[Any] = ctx.call_sub_orchestrator("chain", input=2, instance_id=f"{ctx.instance_id}-child")
        second: task.Task[Any] = ctx.call_sub_orchestrator("sleeper", instance_id=f"{ctx.instance_id}-grandchild")
        results = yield task.when_all([first, second])
        return results

    @app.orchestration_trigger(context_name="ctx")
    def catcher(ctx: task.OrchestrationContext, _: None) -> Steps:
        try:
            yield ctx.call_activity("broken", input=f"{ctx.instance_id}-0")
        except task.TaskFailedError:
            return "caught"


def _add_conversations(app: df.DFApp) -> None:
    @app.orchestration_trigger(context_name="ctx")
    def waiter(ctx: task.OrchestrationContext, _: None) -> Steps:
        event = yield ctx.wait_for_external_event("Go")
        return event

    @app.orchestration_trigger(context_name="ctx")
    def receiver(ctx: task.OrchestrationContext, _: None) -> Steps:
        event = yield ctx.wait_for_external_event("note")
        return event

    @app.orchestration_trigger(context_name="ctx")
    def sender(ctx: task.OrchestrationContext, _: None) -> Steps:
        yield ctx.create_timer(_HOUR)
        ctx.send_event("receiver", "note", data="from sender")
        return "sent"

    @app.orchestration_trigger(context_name="ctx")
    def loop(ctx: task.OrchestrationContext, turn: int) -> Steps:
        result = yield ctx.call_activity("step", input=f"{ctx.instance_id}-{turn}")
        if turn == 3:
            return result
        ctx.continue_as_new(turn + 1, save_events=True)
        return None


def _add_counting(app: df.DFApp) -> None:
    @app.entity_trigger(context_name="context", entity_name="Counter")  # type: ignore[arg-type]
    def counter(context: df.DurableEntityContext) -> None:
        value = context.get_state(lambda: 0)
        if context.operation_name == "add":
            value += context.get_input()
        context.set_state(value)
        context.set_result(value)

    @app.orchestration_trigger(context_name="ctx")
    def adder(ctx: task.OrchestrationContext, _: None) -> Steps:
        with (yield ctx.lock_entities([_COUNTER])):
            yield ctx.call_entity(_COUNTER, "add", input=1)
        ctx.signal_entity(_COUNTER, "add", input=10, signal_time=ctx.current_utc_datetime + _HOUR)
        return "added"

    @app.orchestration_trigger(context_name="ctx")
    def auditor(ctx: task.OrchestrationContext, _: None) -> Steps:
        yield ctx.create_timer(timedelta(days=1))
        total = yield ctx.call_entity(_COUNTER, "read")
        return total


class CrashAt:
    """`CrashPoints` that let the engine die the n-th time a place is reached. Never, with an empty `name`."""

    def __init__(self, name: str = "", at: int = 1) -> None:
        self.engine: Engine | None = None
        self.seen: dict[str, int] = {}
        self.crashed = False
        self._name = name
        self._at = at

    def reached(self, name: str) -> None:
        """Die, if this is the place and the time."""
        if self.crashed or self.engine is None:
            return
        self.seen[name] = self.seen.get(name, 0) + 1
        if name == self._name and self.seen[name] == self._at:
            self.crashed = True
            self.engine.die()
            raise Crashed(name)


class Life:
    """One life of the process: the program's calls, and what its activities did."""

    def __init__(self, path: Path, clock: ManualClock, crash: CrashAt) -> None:
        self.ended: list[str] = []
        self.crash = crash
        self.ground = EngineGround(path, make_app(self.ended.append), clock=clock, crash_points=crash)
        crash.engine = self.ground.engine
        self.ended_before = _recorded(self.ground.engine)

    async def run(self, asked: set[str]) -> None:
        """Start what is not in `asked`, which gets what was acknowledged, and run all to the end or to the crash."""
        asyncio.get_running_loop().set_exception_handler(_ignore_crashes)
        with contextlib.suppress(Crashed, StoreFailed, sqlite3.ProgrammingError):
            self.ground.start()
            for instance_id, (name, json_input, _) in PROGRAM.items():
                if instance_id not in asked:
                    with contextlib.suppress(AlreadyExists):
                        await self.ground.begin(name, json_input, instance_id)
                    asked.add(instance_id)
            if "go" not in asked:
                waiter = self.ground.engine.context.instances.find("waiter")
                if waiter is not None and not waiter.finished:
                    await self.ground.raise_event("waiter", "go", '"hello"')
                asked.add("go")
            await self.ground.run_dry()
        if not self.crash.crashed:
            await self.ground.close()
        await _let_go()

    def check(self) -> None:
        """Everything that is on disk is as it must be at the end."""
        for instance_id, (_, _, output) in PROGRAM.items():
            state = (self.ground.status(instance_id), self.ground.output(instance_id))
            assert state == (pb.ORCHESTRATION_STATUS_COMPLETED, output), instance_id


def _recorded(engine: Engine) -> set[str]:
    """The activities whose end is on disk: they must never run again."""
    journal, inboxes = engine.context.journal, engine.context.journal.inboxes()
    keys = [key for (key,) in engine.context.commits.connection.execute("SELECT key FROM instances")]
    names: set[str] = set()
    for key in keys:
        events = [*journal.history(key), *(each.event for each in inboxes.get(key, ()))]
        asked = {each.eventId: each.taskScheduled.input.value for each in events if each.HasField("taskScheduled")}
        names |= {asked[each.taskCompleted.taskScheduledId] for each in events if each.HasField("taskCompleted")}
        names |= {asked[each.taskFailed.taskScheduledId] for each in events if each.HasField("taskFailed")}
    return {each.strip('"') for each in names}


def _ignore_crashes(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    if not isinstance(context.get("exception"), Crashed):
        loop.default_exception_handler(context)


async def _let_go() -> None:
    """End what a crash left running."""
    mine = asyncio.current_task()
    rest = [each for each in asyncio.all_tasks() if each is not mine]
    for each in rest:
        each.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
