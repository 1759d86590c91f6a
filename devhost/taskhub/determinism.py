"""What is said when an orchestrator's code and its history part: what was expected, what came, at which step and line.

A step is whatever takes a number of the orchestrator's own count: a call, a timer, an event sent. The history records
each one, and every replay has to ask for the same again.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import GeneratorType
from typing import Any, Final

import azure.durable_functions
import durabletask
from durabletask.internal import orchestrator_service_pb2 as pb

ERROR_TYPE: Final = "durabletask.task.NonDeterminismError"
_HINT: Final = (
    "An orchestrator has to ask for the same steps every time it is run over the same history. Was its code changed"
    " while this instance ran? Or does it depend on the time, on chance, on settings or on anything else outside its"
    " history?"
)
_LIBRARIES: Final = tuple(
    str(Path(str(each.__file__)).parent) + os.sep for each in (azure.durable_functions, durabletask)
)


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where an orchestrator and its history part: the first `step` that differs, and the lines where it `stands`."""

    orchestrator: str
    instance_id: str
    step: int
    expected: str
    came: str
    stands: Sequence[str]

    def __str__(self) -> str:
        lines = ", called from ".join(self.stands)
        return (
            f"orchestrator '{self.orchestrator}' is not deterministic: at step {self.step} {self.expected},"
            f" but {self.came}. It stands at {lines}. {_HINT}"
        )

    def failure(self) -> pb.TaskFailureDetails:
        """The failure that the orchestration ends with."""
        return pb.TaskFailureDetails(
            errorType=ERROR_TYPE,
            errorMessage=str(self),
            stackTrace={"value": "".join(f"  {line}\n" for line in self.stands)},
        )


def standing(generator: object, function: Callable[..., Any]) -> tuple[str, ...]:
    """`file:line in function` for every generator of the app that waits, innermost first.

    One that has ended stands nowhere: then it is the line that `function` begins at.
    """
    lines: list[str] = []
    while isinstance(generator, GeneratorType) and generator.gi_frame is not None:
        frame = generator.gi_frame
        if not frame.f_code.co_filename.startswith(_LIBRARIES):
            lines.insert(0, f"{_shown(frame.f_code.co_filename)}:{frame.f_lineno} in {frame.f_code.co_name}")
        generator = generator.gi_yieldfrom
    if lines:
        return tuple(lines)
    code = getattr(function, "__code__", None)
    name = getattr(function, "__name__", repr(function))
    return (f"the end of {name} ({_shown(code.co_filename)}:{code.co_firstlineno})" if code else f"the end of {name}",)


def without_stacks(response: pb.OrchestratorResponse) -> pb.OrchestratorResponse:
    """`response` without the stack traces of a failure: they tell how a turn was run, not what came of it."""
    plain = pb.OrchestratorResponse()
    plain.CopyFrom(response)
    for action in plain.actions:
        details = action.completeOrchestration.failureDetails if action.HasField("completeOrchestration") else None
        while details is not None:
            details.ClearField("stackTrace")
            details = details.innerFailure if details.HasField("innerFailure") else None
    return plain


def step_of_event(event: pb.HistoryEvent) -> str:
    """What the orchestrator asked for when `event` was recorded, such as `call_activity('pay')`."""
    kind = event.WhichOneof("eventType")
    return _EVENTS[kind](getattr(event, kind)) if kind in _EVENTS else str(kind)


def step_of_action(action: pb.OrchestratorAction) -> str:
    """What the orchestrator asks for with `action`, in the words of `step_of_event`."""
    kind = action.WhichOneof("orchestratorActionType")
    detail = getattr(action, kind)
    if kind == "sendEntityMessage":
        kind = detail.WhichOneof("EntityMessageType")
        detail = getattr(detail, kind)
    return _ACTIONS[kind](detail) if kind in _ACTIONS else str(kind)


def _shown(path: str) -> str:
    """Relative to the app's folder, which is the current one, when it lies inside."""
    try:
        relative = os.path.relpath(path)
    except ValueError:
        return path
    return path if relative.startswith(os.pardir) else relative


def _timer(detail: Any) -> str:
    return f"create_timer({detail.fireAt.ToDatetime().isoformat()}Z)"


def _entity_call(detail: Any) -> str:
    return f"call_entity('{detail.targetInstanceId.value}', '{detail.operation}')"


def _entity_signal(detail: Any) -> str:
    return f"signal_entity('{detail.targetInstanceId.value}', '{detail.operation}')"


def _lock(detail: Any) -> str:
    return f"lock_entities({', '.join(map(repr, detail.lockSet))})"


def _unlock(detail: Any) -> str:
    return f"the unlocking of '{detail.targetInstanceId.value}'"


def _activity(detail: Any) -> str:
    return f"call_activity('{detail.name}')"


def _sub_orchestration(detail: Any) -> str:
    return f"call_sub_orchestrator('{detail.name}')"


_ENTITY: Final[dict[str, Callable[[Any], str]]] = {
    "entityOperationCalled": _entity_call,
    "entityOperationSignaled": _entity_signal,
    "entityLockRequested": _lock,
    "entityUnlockSent": _unlock,
}
_EVENTS: Final[dict[str, Callable[[Any], str]]] = {
    "taskScheduled": _activity,
    "subOrchestrationInstanceCreated": _sub_orchestration,
    "timerCreated": _timer,
    "eventSent": lambda detail: f"send_event('{detail.name}' to '{detail.instanceId}')",
    **_ENTITY,
}
_ACTIONS: Final[dict[str, Callable[[Any], str]]] = {
    "scheduleTask": _activity,
    "createSubOrchestration": _sub_orchestration,
    "createTimer": _timer,
    "sendEvent": lambda detail: f"send_event('{detail.name}' to '{detail.instance.instanceId}')",
    "completeOrchestration": lambda detail: f"its end {_ending(detail)}",
    **_ENTITY,
}


def _ending(detail: pb.CompleteOrchestrationAction) -> str:
    status = pb.OrchestrationStatus.Name(detail.orchestrationStatus).removeprefix("ORCHESTRATION_STATUS_").lower()
    result = f" with {detail.result.value}" if detail.HasField("result") else ""
    return f"as {status}{result}"
