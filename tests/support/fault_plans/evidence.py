"""What promises are judged by: a plan, what its run was asked, and what was seen; no code of the app decides here."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from orchestrations.nodes import PatternRequest
from shared.contracts import RunResult
from shared.state.documents import StepDocument
from shared.status import RunStatus, StepStatus
from tests.support.fault_plans.attempts import Attempts, attempts_of
from tests.support.fault_plans.observed import Advanced, CalledOff, Completed, Granted, Observed
from tests.support.fault_plans.plan import FaultPlan, Kind

OVER = (RunStatus.COMPLETED, RunStatus.PARTIAL, RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.BUDGET_EXHAUSTED)
MADE_BY_AGENTS = (StepStatus.SUCCEEDED, StepStatus.FAILED, StepStatus.TIMED_OUT, StepStatus.PARKED)


@dataclass(frozen=True)
class Evidence:
    """A plan, what its run was asked, and what was seen."""

    plan: FaultPlan
    request: PatternRequest
    observed: Observed

    @cached_property
    def attempts(self) -> Attempts:
        """The attempts at each step."""
        return attempts_of(self.observed)

    @cached_property
    def step_of(self) -> dict[str, str]:
        """The step that each owner was given."""
        return {each.owner: each.step for each in self.observed.all(Granted)}

    @cached_property
    def steps(self) -> dict[str, StepDocument]:
        """The documents of the steps."""
        record = self.observed.ending.record
        return {step.step_id: step for step in record.steps} if record is not None else {}

    @cached_property
    def completed(self) -> dict[tuple[str, str], Completed]:
        """The messages that are gone for good."""
        return {(each.queue, each.message): each for each in self.observed.all(Completed)}

    @property
    def result(self) -> RunResult | None:
        """What the run's document says that it came to."""
        record = self.observed.ending.record
        return record.run.result if record is not None else None

    @property
    def clocks_differ_by(self) -> float:
        """By how many seconds, at most, the clocks of processes were wrong or what they wrote was late."""
        wrong = (Kind.JUMPS, Kind.SLOW)
        return sum(abs(fault.seconds) for fault in self.plan.faults if fault.kind in wrong)

    def waited_for_no_more(self, step: str, by_then: int) -> bool:
        """Whether the run was over, being cancelled, or going on without the step when that happened."""
        return any(
            each.status in (*OVER, RunStatus.CANCELLING) and each.seq < by_then for each in self.observed.all(Advanced)
        ) or any(_covers(each, step) and each.seq < by_then for each in self.observed.all(CalledOff))


def _covers(called_off: CalledOff, step: str) -> bool:
    return any(step == path or step.startswith(f"{path}.") for path in called_off.steps)


type Promise = Callable[[Evidence], Iterator[str]]


@dataclass(frozen=True, slots=True)
class Breach:
    """A promise that was not kept, by its name, and how."""

    promise: str
    how: str
