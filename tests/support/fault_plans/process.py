"""One process of the app: what it does ends with it, at any call on the world outside."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from shared.errors import MusterError
from tests.support.fault_plans.observed import Affected, Began, Notebook, Stopped
from tests.support.fault_plans.plan import Fault, Injector, Kind
from tests.support.fault_plans.virtual_time import VirtualClock


class ProcessEnded(Exception):
    """The process ended before it had done what it was given."""


class Process:
    """Its tasks, its clock, and whether it is alive. What a dead one still tries to do outside does not happen."""

    def __init__(self, name: str, notebook: Notebook, injector: Injector) -> None:
        self.name = name
        self.clock = VirtualClock()
        self.notebook = notebook
        self.injector = injector
        self.dead = False
        self.draining = False
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run[T](self, work: Coroutine[Any, Any, T], owner: str = "") -> T:
        """What `work` returns, done by this process for `owner`. Raises `ProcessEnded` when that comes first."""
        token = doing.set(Doing(self, owner))
        try:
            task = asyncio.create_task(work)
        finally:
            doing.reset(token)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.wait({task})
        if task.cancelled():
            raise ProcessEnded(self.name)
        return task.result()

    @property
    def ended(self) -> bool:
        """Whether it takes no more work."""
        return self.dead or self.draining

    def die(self) -> None:
        """End at once, without a word."""
        if not self.dead:
            self.dead = True
            self.notebook.note(Stopped, self.name, False)
            self._stop()

    def drain(self) -> None:
        """End as a host does whose time to finish is over: what runs is cancelled, and may still say something."""
        if not self.dead and not self.draining:
            self.draining = True
            self.notebook.note(Stopped, self.name, True)
            self._stop()

    def _stop(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()

    async def reach[T](
        self,
        operation: str,
        effect: Callable[[], Awaitable[T]],
        error: Callable[[], MusterError],
        garbled: Callable[[], Awaitable[T]] | None = None,
    ) -> T:
        """Have `effect` on the world outside, with the fault that the plan has for this call of `operation`.

        `error` makes what the caller is told when it fails; `garbled` is what happens in place of a garbled effect.
        """
        await self.alive()
        fault = self.injector.next(operation)
        if fault is None:
            return await effect()
        await self.before(fault, error)
        result = await (garbled or effect)() if fault.kind is Kind.GARBLED else await effect()
        await self.after(fault, error)
        return result

    async def alive(self) -> None:
        """Return, unless this process is dead: then nothing comes back."""
        if self.dead:
            raise asyncio.CancelledError

    async def wait(self, seconds: float) -> None:
        """Let time pass, if this process lives to see it."""
        await asyncio.sleep(seconds)
        await self.alive()

    async def before(self, fault: Fault, error: Callable[[], MusterError]) -> None:
        """What happens before a call takes effect."""
        match fault.kind:
            case Kind.REFUSED:
                raise error()
            case Kind.DIES_BEFORE:
                await self.last_moment()
            case Kind.SLOW:
                await self.wait(fault.seconds)
            case Kind.JUMPS:
                self.clock.skew += timedelta(seconds=fault.seconds)

    async def after(self, fault: Fault, error: Callable[[], MusterError]) -> None:
        """What happens once it took effect."""
        match fault.kind:
            case Kind.ANSWER_LOST:
                raise error()
            case Kind.DIES_AFTER:
                await self.last_moment()

    async def last_moment(self) -> None:
        """Die here. Never returns."""
        self.die()
        await asyncio.get_running_loop().create_future()


@dataclass(frozen=True, slots=True)
class Doing:
    """Who is at work: a process, and the delivery that it handles."""

    process: Process
    owner: str

    def begin(self) -> None:
        """An agent's own code was called."""
        self.process.notebook.note(Began, self.owner)

    async def affect(self) -> None:
        """Do something outside that may not be done twice."""

        async def effect() -> None:
            self.process.notebook.note(Affected, self.owner)

        await self.process.reach("effect", effect, lambda: MusterError("the effect is refused"))


doing: ContextVar[Doing] = ContextVar("doing")
"""Who is at work in this task."""
