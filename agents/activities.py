"""The activity functions of the agents: the same runner without a queue, for agents whose transport is `activity`."""

from datetime import datetime, timedelta

import azure.durable_functions as df
import azure.functions as func

from agents.catalog import Catalog
from agents.observing import invocation, tell
from agents.outcomes import Answered, Held, TryAgain, Unwanted
from agents.runner import AgentRunner, describe
from shared import names
from shared.breaker import CircuitBreaker, agent_circuit, refusal
from shared.circuit import Refused
from shared.clock import Clock
from shared.contracts import AgentResult, AgentTask, ErrorInfo
from shared.errors import RetryableError
from shared.retry import outage_delay
from shared.status import StepStatus
from shared.telemetry.off import OFF
from shared.telemetry.telemetry import Telemetry


def activity_functions(
    catalog: Catalog, runner: AgentRunner, circuits: CircuitBreaker, clock: Clock, telemetry: Telemetry = OFF
) -> df.Blueprint:
    """A blueprint with one activity for each agent, so that an orchestrator may call any of them directly."""
    blueprint = df.Blueprint()
    for spec in catalog:
        _add(blueprint, spec.name, runner, circuits, clock, telemetry)
    return blueprint


def _add(
    blueprint: df.Blueprint,
    agent: str,
    runner: AgentRunner,
    circuits: CircuitBreaker,
    clock: Clock,
    telemetry: Telemetry,
) -> None:
    @blueprint.function_name(names.agent_activity(agent))
    @blueprint.activity_trigger(input_name="task", activity=names.agent_activity(agent))
    async def run_as_activity(task: object, context: func.Context) -> object:
        asked = AgentTask.model_validate(task)
        result = await run_activity(
            asked, runner, circuits, owner=context.invocation_id, now=clock.now(), telemetry=telemetry
        )
        return result.model_dump(mode="json")


async def run_activity(
    task: AgentTask,
    runner: AgentRunner,
    circuits: CircuitBreaker,
    *,
    owner: str,
    now: datetime,
    telemetry: Telemetry = OFF,
) -> AgentResult:
    """Run `task` and return its result; one that is not the end says when to ask again.

    The orchestrator waits between attempts, on a durable timer, so that no instance is held while nothing happens.
    An agent whose circuit is open is not run. A store that does not answer is waited for, and is no attempt.
    """
    circuit = agent_circuit(task.agent)
    refused = await circuits.admit(circuit)
    if isinstance(refused, Refused):
        return AgentResult(status=StepStatus.REJECTED, error=refusal(circuit, refused), attempt=task.attempt)
    with invocation(telemetry, task) as span:
        try:
            outcome = await runner.run(task, owner=owner, enqueued_at=now)
        except RetryableError as failure:
            span.failed(failure)
            return _again(describe(failure), outage_delay(task.postponed, failure))
        tell(span, outcome)
    match outcome:
        case Answered(result):
            return result
        case TryAgain(delay, error):
            return _again(error, delay)
        case Held(until):
            message = f"the step is being run elsewhere until {until.isoformat()}"
            return _again(ErrorInfo(type="Held", message=message, retryable=True), until - now)
        case Unwanted(reason):
            return AgentResult(
                status=StepStatus.SKIPPED, error=ErrorInfo(type="Unwanted", message=reason), attempt=task.attempt
            )


def _again(error: ErrorInfo, delay: timedelta) -> AgentResult:
    seconds = max(0.0, delay.total_seconds())
    return AgentResult(status=StepStatus.FAILED, error=error, retry_after_seconds=seconds)
