# ruff: noqa: SLF001 - the SDK gives no other way to its executor
"""One execution of an orchestrator: the SDK's own executor, watched for steps that part from the history.

The SDK's executor takes in one event after the other and keeps what the orchestrator asks for until the history
confirms it. So a turn is the same work whether the events come all at once, as in a replay (`begin`), or the earlier
ones were taken in by earlier turns and the generator still stands where they left it (`go_on`).

Besides what the SDK itself notices, a turn fails here when the orchestrator has ended although its history goes on, and
when it asks for a step at a point where its history has none: the SDK would let either pass, and go on wrong.

This leans on the SDK's private parts: `devhost.worker.stock` says with which versions it may be used.
"""

import contextvars
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, override

from durabletask import task
from durabletask.internal import helpers, tracing
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.worker import _OrchestrationExecutor, _RuntimeOrchestrationContext

from devhost.taskhub.determinism import Divergence, standing, step_of_action, step_of_event
from devhost.taskhub.hub import Turn
from devhost.worker.stock import StockOrchestrator

_log = logging.getLogger(__name__)

_STEPS: Final = frozenset(
    {
        "taskScheduled",
        "subOrchestrationInstanceCreated",
        "timerCreated",
        "eventSent",
        "entityOperationCalled",
        "entityOperationSignaled",
        "entityLockRequested",
        "entityUnlockSent",
    }
)


_take_in: Final = _OrchestrationExecutor.process_event


_NO_TURN: Final = Turn("", "", (), ())


class _Asked(dict[int, pb.OrchestratorAction]):
    """What the orchestrator asks for and its history has not confirmed yet; remembers what was taken out last."""

    last: pb.OrchestratorAction | None = None

    @override
    def pop(self, key: int, default: Any = None) -> Any:
        self.last = super().pop(key, None)
        return default if self.last is None else self.last


class Execution(_OrchestrationExecutor):
    """An orchestrator's state after some turns: `begin` once, then `go_on` for each later turn, `close` at last."""

    def __init__(self, orchestrator: StockOrchestrator) -> None:
        worker = orchestrator.worker
        super().__init__(
            worker._registry,
            worker._logger,
            worker._data_converter,
            maximum_timer_interval=worker.maximum_timer_interval,
            exception_properties_provider=worker._exception_properties_provider,
        )
        self.divergence: Divergence | None = None
        self._orchestrator = orchestrator
        self._context = contextvars.copy_context()
        self._state: _RuntimeOrchestrationContext | None = None
        self._asked = _Asked()
        self._replaying: bool | None = None
        self._turn = _NO_TURN
        self._seen = 0
        self._last_seen: pb.HistoryEvent | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing is left to go on with."""
        return self._state is None or self._state._is_complete or self.divergence is not None

    def follows(self, turn: Turn) -> bool:
        """Whether `turn` is the next after those taken in: its past begins with theirs."""
        past = turn.past_events
        return bool(turn.new_events) and self._seen <= len(past) and past[self._seen - 1] == self._last_seen

    def begin(self, turn: Turn) -> pb.OrchestratorResponse:
        """Run the orchestrator from its beginning through the whole history."""
        return self._context.run(self._run, turn, self._replay)

    def go_on(self, turn: Turn) -> pb.OrchestratorResponse:
        """Take in what came since the turns before; the same response as a `begin` would give."""
        return self._context.run(self._run, turn, self._advance)

    def fail(self, divergence: Divergence) -> pb.OrchestratorResponse:
        """End the orchestration because of `divergence`: nothing is asked for any more but to unlock entities."""
        self.divergence = divergence
        state, actions = self._state, []
        if state is not None:
            state._exit_critical_section()
            actions = [each for each in self._asked.values() if each.sendEntityMessage.HasField("entityUnlockSent")]
        number = -1 if state is None else state.next_sequence_number()
        status = pb.ORCHESTRATION_STATUS_FAILED
        end = helpers.new_complete_orchestration_action(number, status, None, divergence.failure())
        return self._response(divergence.instance_id, [*actions, end])

    def stands(self) -> tuple[str, ...]:
        """The lines of the app at which the orchestrator waits, innermost first."""
        return standing(None if self._state is None else self._state._generator, self._orchestrator.function)

    def close(self) -> None:
        """End the generator; its `finally` blocks run, and whatever they ask for is dropped."""
        generator = None if self._state is None else self._state._generator
        if generator is None:
            return
        try:
            self._context.run(generator.close)
        except Exception:
            _log.debug("an orchestrator did not let itself be put away", exc_info=True)

    def _run(self, turn: Turn, run: Callable[[Turn], pb.OrchestratorResponse]) -> pb.OrchestratorResponse:
        self._turn = turn
        response = run(turn)
        self._seen = len(turn.past_events) + len(turn.new_events)
        self._last_seen = turn.new_events[-1] if turn.new_events else None
        # The engine may want to let go of the history.
        self._turn = _NO_TURN
        return response if self.divergence is None else self.fail(self.divergence)

    def _replay(self, turn: Turn) -> pb.OrchestratorResponse:
        started, worker = turn.started(), self._orchestrator.worker
        self._trace(started)
        worker._register_orchestrator_once(started.name, self._orchestrator.function)
        try:
            result = self.execute(turn.instance_id, turn.past_events, turn.new_events)
        except Exception as failure:
            _log.exception("a turn of the orchestration '%s' could not be run", turn.instance_id)
            details = helpers.new_failure_details(failure, worker._exception_properties_provider)
            end = helpers.new_complete_orchestration_action(-1, pb.ORCHESTRATION_STATUS_FAILED, "", details)
            return pb.OrchestratorResponse(instanceId=turn.instance_id, actions=[end])
        return self._response(turn.instance_id, result.actions)

    def _trace(self, started: pb.ExecutionStartedEvent) -> None:
        """As the SDK's worker has it: no spans of its own, and the app's belong to the trace that started the run."""
        tracing._SPAN_EMISSION_SUPPRESSED.set(True)
        if started.HasField("parentTraceContext"):
            parent = tracing.extract_trace_context(started.parentTraceContext)
            if parent is not None:
                tracing.otel_context.attach(parent)  # type: ignore[attr-defined]

    def _advance(self, turn: Turn) -> pb.OrchestratorResponse:
        state = self._state
        if state is None:
            raise RuntimeError("an execution goes on only after it has begun")
        try:
            state._is_replaying = True
            for event in turn.past_events[self._seen :]:
                self.process_event(state, event)
            state._is_replaying = False
            for event in turn.new_events:
                self.process_event(state, event)
        except Exception as failure:
            state.set_failed(failure)
        return self._response(turn.instance_id, state.get_actions())

    def _response(self, instance_id: str, actions: Sequence[pb.OrchestratorAction]) -> pb.OrchestratorResponse:
        status = self._state._encoded_custom_status if self._state is not None else None
        return pb.OrchestratorResponse(
            instanceId=instance_id,
            actions=actions,
            customStatus=helpers.get_string_value(status),
            orchestrationTraceContext=pb.OrchestrationTraceContext(),
        )

    @override
    def process_event(self, ctx: _RuntimeOrchestrationContext, event: pb.HistoryEvent) -> None:
        """Take in one event. Raises `NonDeterminismError`, with `divergence` set, when it does not fit."""
        if ctx._is_replaying is not self._replaying or ctx._is_complete:
            self._watch(ctx, event)
        if event.HasField("orchestratorCompleted"):
            # It means nothing to the SDK either, but is the last but few that it looks for.
            return
        try:
            _take_in(self, ctx, event)
        except task.NonDeterminismError:
            # The SDK lets it pass after the end, and events that were held back by a suspension may well come to that.
            if self.divergence is None and not ctx._is_complete:
                self._part(event.eventId, f"its history has {step_of_event(event)}", self._came_instead())
            raise

    def _watch(self, ctx: _RuntimeOrchestrationContext, event: pb.HistoryEvent) -> None:
        """At the first event, at those that follow the end, and between what is past and what is new."""
        if self._state is None:
            self._state, ctx._pending_actions = ctx, self._asked
        if ctx._is_complete and ctx._is_replaying and not _rewinds(self._turn.events()):
            self._part(*self._missed(ctx, event), "it has ended")
            raise task.NonDeterminismError
        if self._replaying and not ctx._is_replaying and self._asked and not self._is_suspended:
            self._ask_nothing_new()
        self._replaying = ctx._is_replaying

    def _ask_nothing_new(self) -> None:
        if _rewinds(self._turn.events()):
            return
        number, action = next(iter(self._asked.items()))
        self._part(number, "its history has nothing", f"it asks for {step_of_action(action)}")
        raise task.NonDeterminismError

    def _missed(self, ctx: _RuntimeOrchestrationContext, event: pb.HistoryEvent) -> tuple[int, str]:
        steps = (each for each in self._turn.past_events if each.WhichOneof("eventType") in _STEPS)
        step = next((each for each in steps if each.eventId >= ctx._sequence_number), None)
        if step is None:
            return ctx._sequence_number, f"its history goes on with {event.WhichOneof('eventType')}"
        return step.eventId, f"its history has {step_of_event(step)}"

    def _came_instead(self) -> str:
        if self._asked.last is not None:
            return f"it asks for {step_of_action(self._asked.last)}"
        other = next(iter(self._asked.items()), None)
        return "it asks for nothing" if other is None else f"it asks for {step_of_action(other[1])} as step {other[0]}"

    def _part(self, step: int, expected: str, came: str) -> None:
        name, instance_id = self._turn.started().name, self._turn.instance_id
        self.divergence = Divergence(name, instance_id, step, expected, came, self.stands())


def _rewinds(events: Any) -> bool:
    return any(each.HasField("executionRewound") for each in events)
