"""What observers are told of an agent's work: a span for each delivery of a step, and what came of it."""

from contextlib import AbstractContextManager

from agents.runner import Answered, Held, RunOutcome, TryAgain, Unwanted
from shared.contracts import AgentResult, AgentTask
from shared.status import StepStatus
from shared.telemetry import names
from shared.telemetry.telemetry import Attributes, Span, Telemetry

OPERATION = "invoke_agent"


def invocation(telemetry: Telemetry, task: AgentTask, *, carried: str | None = None) -> AbstractContextManager[Span]:
    """The span of one delivery of `task`, under what its message says of its sender: `task.traceparent`, or `carried`.

    Source: OpenTelemetry's semantic conventions for generative AI, "invoke agent" within a process.
    """
    about: Attributes = {
        names.TASK_ID: task.task_id,
        names.STEP_ID: task.step_id,
        names.AGENT: task.agent,
        names.ATTEMPT: task.attempt,
        names.OPERATION_NAME: OPERATION,
        names.AGENT_NAME: task.agent,
    }
    return telemetry.span(names.INVOKE_AGENT, task.agent, parent=task.traceparent or carried, attributes=about)


def tell(span: Span, outcome: RunOutcome) -> None:
    """Put what came of a delivery on its span."""
    match outcome:
        case Answered(result, from_record):
            span.set({names.FROM_RECORD: from_record})
            tell_result(span, result)
        case TryAgain(_, error):
            span.set({names.STATUS: "retrying"})
            span.failed(error)
        case Held():
            span.set({names.STATUS: "held"})
        case Unwanted():
            span.set({names.STATUS: "unwanted"})


def tell_result(span: Span, result: AgentResult) -> None:
    """Put a step's result on a span: how it stands, and what all of its attempts used."""
    span.set(
        {
            names.STATUS: result.status.value,
            names.INPUT_TOKENS: result.usage.input_tokens,
            names.OUTPUT_TOKENS: result.usage.output_tokens,
            names.COST_USD: result.usage.cost_usd,
        }
    )
    if result.status is not StepStatus.SUCCEEDED and result.error is not None:
        span.failed(result.error)
