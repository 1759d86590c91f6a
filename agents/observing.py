"""What observers are told of an agent's work: a span for each delivery of a step, and what came of it."""

from contextlib import AbstractContextManager

from agents.outcomes import Answered, Held, RunOutcome, TryAgain, Unwanted
from shared.contracts import AgentResult, AgentTask
from shared.status import StepStatus
from shared.telemetry import names
from shared.telemetry.attributes import (
    AGENT,
    AGENT_NAME,
    ATTEMPT,
    COST_USD,
    FROM_RECORD,
    INPUT_TOKENS,
    OPERATION_NAME,
    OUTPUT_TOKENS,
    STATUS,
    STEP_ID,
    TASK_ID,
)
from shared.telemetry.telemetry import Attributes, Span, Telemetry

OPERATION = "invoke_agent"


def invocation(telemetry: Telemetry, task: AgentTask, *, carried: str | None = None) -> AbstractContextManager[Span]:
    """The span of one delivery of `task`, under what its message says of its sender: `task.traceparent`, or `carried`.

    Source: OpenTelemetry's semantic conventions for generative AI, "invoke agent" within a process.
    """
    about: Attributes = {
        TASK_ID: task.task_id,
        STEP_ID: task.step_id,
        AGENT: task.agent,
        ATTEMPT: task.attempt,
        OPERATION_NAME: OPERATION,
        AGENT_NAME: task.agent,
    }
    return telemetry.span(names.INVOKE_AGENT, task.agent, parent=task.traceparent or carried, attributes=about)


def tell(span: Span, outcome: RunOutcome) -> None:
    """Put what came of a delivery on its span."""
    match outcome:
        case Answered(result, from_record):
            span.set({FROM_RECORD: from_record})
            tell_result(span, result)
        case TryAgain(_, error):
            span.set({STATUS: "retrying"})
            span.failed(error)
        case Held():
            span.set({STATUS: "held"})
        case Unwanted():
            span.set({STATUS: "unwanted"})


def tell_result(span: Span, result: AgentResult) -> None:
    """Put a step's result on a span: how it stands, and what all of its attempts used."""
    span.set(
        {
            STATUS: result.status.value,
            INPUT_TOKENS: result.usage.input_tokens,
            OUTPUT_TOKENS: result.usage.output_tokens,
            COST_USD: result.usage.cost_usd,
        }
    )
    if result.status is not StepStatus.SUCCEEDED and result.error is not None:
        span.failed(result.error)
