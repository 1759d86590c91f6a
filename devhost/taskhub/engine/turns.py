"""When an orchestrator's turn runs: once there is something to take in, and nothing more is about to come.

A turn replays the whole history, so what comes together is best taken in together. While activities or
sub-orchestrations of an instance are under way, its turn waits until nothing came for some passes of the event loop,
more of them the longer its history is: a long replay costs more than the wait for what is about to come. With nothing
else under way it runs at once.

External events come from outside one by one, and nobody knows how many are still to come. After a turn that took long,
an orchestration rests for twice as long before it takes in events alone: a thousand answers then cost some dozen
replays, and those who answer are not starved by them.
"""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from typing import Final

from durabletask.internal import orchestrator_service_pb2 as pb

from devhost.taskhub.engine import events
from devhost.taskhub.engine.actions import Actions
from devhost.taskhub.engine.activities import RERUN_AFTER
from devhost.taskhub.engine.context import Context
from devhost.taskhub.engine.instance import Instance, Pending
from devhost.taskhub.hub import Turn, WorkItemExecutor
from devhost.taskhub.versioning import answer_to_mismatch

_log = logging.getLogger(__name__)

_SHORTEST_WAIT: Final = 8
_EVENTS_A_PASS: Final = 8
# In seconds of the event loop: turns under the first are not worth a rest, and none is longer than the second.
_LONG_TURN, _LONGEST_REST = 0.01, 1.0
_RESTS: Final = 2
_WAKING: Final = frozenset({"executionResumed", "executionTerminated"})


class Turns:
    """Runs turns, never two of one instance at once."""

    def __init__(self, context: Context, actions: Actions, limit: int) -> None:
        self.executor: WorkItemExecutor | None = None
        #: How many turns were run and kept.
        self.count = 0
        self._context = context
        self._actions = actions
        self._limit = limit
        # With the pass in which each may run at the earliest.
        self._ripening: dict[Instance, int] = {}
        self._ripe: dict[Instance, None] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._again = 0
        # When each that rests may take in events again, by the event loop's time.
        self._resting: dict[Instance, float] = {}
        self._turned_away: set[str] = set()
        context.instances.on_event = self.note
        context.pulse.listen(self._on_pass)

    @property
    def tasks(self) -> set[asyncio.Task[None]]:
        """Those that run."""
        return set(self._running)

    @property
    def busy(self) -> bool:
        """Whether one runs, or will without anything else happening."""
        at_work = self._running or self._ripe or self._ripening or self._again
        return bool(at_work) or any(map(_can_run, self._resting))

    @property
    def may_change_soon(self) -> bool:
        """Whether one runs or may begin to."""
        return bool(self._running or self._ripe)

    def note(self, instance: Instance) -> None:
        """Something came for the instance, or it may go on."""
        if not _can_run(instance) or instance in self._ripe or self._rests(instance):
            return
        wait = 0
        if instance.activities or instance.children:
            wait = _SHORTEST_WAIT + (len(instance.history) + len(instance.inbox)) // _EVENTS_A_PASS
        if wait:
            self._ripening[instance] = self._context.pulse.passes + wait
        else:
            self._ripening.pop(instance, None)
            self._ripe[instance] = None
        self._context.pulse.ring()

    def _rests(self, instance: Instance) -> bool:
        until = self._resting.get(instance)
        if until is None:
            return False
        if asyncio.get_running_loop().time() < until and all(map(_is_external, instance.inbox)):
            return True
        del self._resting[instance]
        return False

    def _rest(self, instance: Instance, took: float) -> None:
        if took < _LONG_TURN or instance.finished:
            return
        loop, seconds = asyncio.get_running_loop(), min(took * _RESTS, _LONGEST_REST)
        self._resting[instance] = loop.time() + seconds
        loop.call_later(seconds, self._rested, instance)

    def _rested(self, instance: Instance) -> None:
        self._resting.pop(instance, None)
        self.note(instance)

    def _on_pass(self) -> bool:
        passes = self._context.pulse.passes
        ripened = [each for each, at in self._ripening.items() if at <= passes]
        for instance in ripened:
            del self._ripening[instance]
            self._ripe[instance] = None
        while self.executor is not None and self._ripe and len(self._running) < self._limit:
            instance = next(iter(self._ripe))
            del self._ripe[instance]
            self._begin(instance, self.executor)
        return bool(self._ripening)

    def _begin(self, instance: Instance, executor: WorkItemExecutor) -> None:
        if not _can_run(instance):
            return
        new_events = [events.orchestrator_started(self._context.timers.now())]
        new_events += [each.event for each in instance.inbox]
        mismatch = self._context.versioning.mismatch(instance.version)
        if mismatch is not None:
            self._turn_away(instance, new_events, mismatch)
            return
        self._context.crash_points.reached("turn-begins")
        instance.taken = len(instance.inbox)
        turn = Turn(instance.id, instance.execution_id, instance.history, new_events)
        task = asyncio.get_running_loop().create_task(self._run(instance, turn, executor))
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _turn_away(self, instance: Instance, new_events: Sequence[pb.HistoryEvent], why: str) -> None:
        response = answer_to_mismatch(self._context.versioning, why, new_events)
        if response is not None:
            instance.taken = len(instance.inbox)
            self._keep(instance, new_events, response)
        elif instance.id not in self._turned_away:
            self._turned_away.add(instance.id)
            _log.warning("the orchestration '%s' waits until a host may run it: %s", instance.id, why)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._context.commits.check(task)
        self._context.pulse.ring()

    async def _run(self, instance: Instance, turn: Turn, executor: WorkItemExecutor) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            response = await executor.orchestrator(turn)
        except Exception:
            _log.exception("a turn of '%s' could not be run and is tried again in %s", instance.id, RERUN_AFTER)
            self._later(instance)
            return
        self._context.crash_points.reached("turn-ended")
        self._rest(instance, loop.time() - begun)
        self._keep(instance, turn.new_events, response)

    def _keep(self, instance: Instance, taken_in: Sequence[pb.HistoryEvent], response: pb.OrchestratorResponse) -> None:
        if instance.removed:
            return
        self._actions.apply(instance, taken_in, response)
        self.count += 1
        self._context.crash_points.reached("turn-applied")
        self.note(instance)

    def _later(self, instance: Instance) -> None:
        instance.taken = 0
        self._again += 1
        self._context.alarms.at(self._context.clock.now() + RERUN_AFTER, partial(self._try_again, instance))

    def _try_again(self, instance: Instance) -> None:
        self._again -= 1
        self.note(instance)


def _is_external(message: Pending) -> bool:
    return str(message.event.WhichOneof("eventType")) == "eventRaised"


def _can_run(instance: Instance) -> bool:
    if instance.removed or instance.taken or instance.finished or instance.held_until is not None or not instance.inbox:
        return False
    if not instance.suspended:
        return True
    return any(each.event.WhichOneof("eventType") in _WAKING for each in instance.inbox)
