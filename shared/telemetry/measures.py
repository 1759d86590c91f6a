"""What is measured of runs, steps and circuits, read off their records. Pure: a value has one measure, whoever asks.

Each is taken once, by whoever wrote the record that it is read off, so that the sums agree with the records. One that
is lost with its process is not taken again.
"""

from collections.abc import Iterable, Iterator

from shared.circuit import Circuit, CircuitState
from shared.contracts import AgentResult, ErrorInfo, Usage
from shared.state.documents import RunDocument, StepDocument
from shared.telemetry import names
from shared.telemetry.attributes import (
    AGENT,
    CIRCUIT,
    ERROR_TYPE,
    FAULT_DOMAIN,
    PATTERN,
    RESPONSE_MODEL,
    STATUS,
    WORKFLOW,
)
from shared.telemetry.faults import fault_domain, told_type
from shared.telemetry.telemetry import Attributes, Measure

CIRCUIT_LEVELS = {CircuitState.CLOSED: 0, CircuitState.HALF_OPEN: 1, CircuitState.OPEN: 2}
"""A circuit's state as a number, the worse the higher."""


def run_measures(run: RunDocument) -> Iterator[Measure]:
    """Of a run that has just been recorded as over."""
    if run.completed_at is None:
        return
    failure = failure_attributes(run.result.error if run.result else None)
    about = {PATTERN: run.type, WORKFLOW: named(run), STATUS: run.status.value, **failure}
    # The clocks of two machines may differ, and a histogram takes nothing negative.
    yield Measure(names.RUN_DURATION, max(0.0, (run.completed_at - run.created_at).total_seconds()), about)


def named(run: RunDocument) -> str | None:
    """The name under which a run was asked for, if it is not its pattern's."""
    return run.workflow if run.workflow != run.type else None


def begun_measures(step: StepDocument) -> Iterator[Measure]:
    """Of an attempt that has just begun: the wait before the first, the repetition in every other."""
    if not step.attempts:
        waited = max(0.0, (step.started_at - step.enqueued_at).total_seconds())
        yield Measure(names.STEP_QUEUE_WAIT, waited, {AGENT: step.agent})
        return
    before = step.attempts[-1]
    yield Measure(names.RETRIES, 1, {AGENT: step.agent, **failure_attributes(before.error)})
    if before.answer_lost:
        yield Measure(names.CALLS_REPEATED, 1, {AGENT: step.agent})


def attempt_measures(step: StepDocument, usage: Usage) -> Iterator[Measure]:
    """Of an attempt that has just been recorded, what it cost. An unknown cost is not counted as none."""
    if usage.cost_usd:
        yield Measure(names.COST, usage.cost_usd, {AGENT: step.agent, RESPONSE_MODEL: usage.model})


def step_measures(step: StepDocument, result: AgentResult) -> Iterator[Measure]:
    """Of a step whose result has just been recorded."""
    if result.completed_at is None or result.started_at is None:
        return
    about = {AGENT: step.agent, STATUS: result.status.value, **failure_attributes(result.error)}
    seconds = max(0.0, (result.completed_at - result.started_at).total_seconds())
    yield Measure(names.STEP_DURATION, seconds, about)


def circuit_measures(circuits: Iterable[Circuit]) -> Iterator[Measure]:
    """Of circuits as they are now known."""
    for circuit in circuits:
        yield Measure(names.CIRCUIT_STATE, CIRCUIT_LEVELS[circuit.state], {CIRCUIT: circuit.name})


def failure_attributes(error: ErrorInfo | None) -> Attributes:
    """An error's type and whose fault it is; nothing for none."""
    if error is None:
        return {}
    return {ERROR_TYPE: told_type(error.type), FAULT_DOMAIN: fault_domain(error.type).value}
