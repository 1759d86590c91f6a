"""What breaks in one life of the host: named points of an agent call, and what is done when one of them is reached.

The adapters around the app's resources and the broker tell `Faults` of each point; it kills the process, raises, or
says what else is to be done. Each point has a moment before it and one after it has taken effect.
"""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, NoReturn, Protocol

from pydantic import BaseModel, ConfigDict

from devhost.broker.model import RuntimeCounts
from devhost.clock import ManualClock

type Moment = Literal["before", "after"]

EVERY = 0
"""For `Fault.time`: whenever the point is reached, not at one time of it."""


class Point(StrEnum):
    """Where something can break, in the order of one agent call."""

    DISPATCH = "the batch is sent"
    DELIVER = "the broker hands the message over"
    RECEIVE = "the function is called"
    CLAIM = "the step is claimed"
    MODEL = "the model is asked"
    RECORD = "the result is recorded"
    RELEASE = "the claim is given back"
    COPY = "a copy for later is scheduled"
    REPLY = "the reply event is raised"
    COMPLETE = "the message is completed"
    GIVE_BACK = "the message is given back"
    ADVANCE_RUN = "the run's status is recorded"


class Deed(StrEnum):
    """What happens at a point."""

    KILL = "the process is killed"
    FAIL = "the call raises that the other side does not answer"
    LOSE = "what is on its way is lost, and nobody is told"
    DELAY = "what is on its way arrives when the run is over"
    LOSE_LOCK = "the broker forgets the locks of the agent's messages"


class Fault(BaseModel):
    """One fault: at the `time`-th time that a life comes to a point."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at: Point
    moment: Moment = "before"
    does: Deed = Deed.KILL
    time: int = 1


class FaultyNamespace(Protocol):
    """What this life's broker can be asked from elsewhere."""

    async def lose_locks(self) -> None:
        """End the locks of all messages of agents that are being handled, as if their time were over."""
        ...

    def counts(self, entity: str) -> RuntimeCounts:
        """What an entity holds now."""
        ...


class Faults:
    """The faults of one life. `clock` is the host's; its time at the end is left in `folder`, for the next life.

    `late` are the events that are still on their way: instance, name and data.
    """

    def __init__(self, faults: tuple[Fault, ...], clock: ManualClock, folder: Path) -> None:
        self.clock = clock
        self.broker: FaultyNamespace | None = None
        self.late: list[tuple[str, str, Any]] = []
        self.reached: Counter[tuple[Point, Moment]] = Counter()
        self._changed = asyncio.Condition()
        self._faults = faults
        self._folder = folder

    def note_time(self) -> None:
        """Leave the time for the next life, which begins after it."""
        (self._folder / "ended_at").write_text(self.clock.now().isoformat())

    def kill(self) -> NoReturn:
        """SIGKILL, to this very process."""
        self.note_time()
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("still alive")

    def meet(self, at: Point, moment: Moment) -> Fault | None:
        """The fault at this point, if there is one; a kill does not return."""
        self.reached[at, moment] += 1
        for fault in self._faults:
            if (fault.at, fault.moment) == (at, moment) and fault.time in (EVERY, self.reached[at, moment]):
                if fault.does is Deed.KILL:
                    self.kill()
                return fault
        return None

    async def around[T](self, at: Point, call: Callable[[], Awaitable[T]], away: Exception) -> T:
        """What `call` returns, with the faults before and after it; one that fails raises `away`."""
        for moment in ("before", "after"):
            if moment == "after":
                made = await call()
            fault = self.meet(at, moment)
            if fault is not None and fault.does is Deed.FAIL:
                raise away
        return made


_current: list[Faults] = []


def begin(faults: Faults) -> None:
    """Let this process's life have these faults. A process has one life."""
    _current.append(faults)


def current() -> Faults:
    """The faults of this process's life."""
    [only] = _current
    return only
