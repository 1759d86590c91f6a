"""The statuses of a run and of a step, and the tables of the moves between them."""

from collections.abc import Mapping
from enum import StrEnum

from shared.errors import IllegalTransition


class RunStatus(StrEnum):
    """Where a run stands."""

    PENDING = "pending"  #: recorded, its orchestrator not yet begun
    RUNNING = "running"  #: its orchestrator has begun
    CANCELLING = "cancelling"  #: to be stopped; what was done may be undone first
    COMPLETED = "completed"  #: everything that was asked for is there
    PARTIAL = "partial"  #: as much as the request said suffices is there, something is missing
    FAILED = "failed"  #: something required is missing
    CANCELLED = "cancelled"  #: stopped on request
    BUDGET_EXHAUSTED = (
        "budget_exhausted"  #: something required is missing, because asking for it could have cost too much
    )


class StepStatus(StrEnum):
    """Where a step stands. The last six are also the statuses of an agent's result."""

    PENDING = "pending"  #: planned, claimed by nobody yet
    RUNNING = "running"  #: claimed by a runner
    WAITING = "waiting"  #: an attempt failed, the next is scheduled
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    TIMED_OUT = "timed_out"
    REJECTED = "rejected"
    PARKED = "parked"  #: its runner stopped amid what may not be done twice; a person may have it repeated


_ENDED_RUN = (
    RunStatus.COMPLETED,
    RunStatus.PARTIAL,
    RunStatus.FAILED,
    RunStatus.CANCELLED,
    RunStatus.BUDGET_EXHAUSTED,
)
_ENDED_STEP = (
    StepStatus.SUCCEEDED,
    StepStatus.FAILED,
    StepStatus.SKIPPED,
    StepStatus.TIMED_OUT,
    StepStatus.REJECTED,
)

RUN_TRANSITIONS: Mapping[RunStatus, frozenset[RunStatus]] = {
    RunStatus.PENDING: frozenset({RunStatus.RUNNING, RunStatus.CANCELLING, *_ENDED_RUN}),
    RunStatus.RUNNING: frozenset({RunStatus.CANCELLING, *_ENDED_RUN}),
    RunStatus.CANCELLING: frozenset({RunStatus.CANCELLED}),
    **{ended: frozenset() for ended in _ENDED_RUN},
}

STEP_TRANSITIONS: Mapping[StepStatus, frozenset[StepStatus]] = {
    StepStatus.PENDING: frozenset({StepStatus.RUNNING, *_ENDED_STEP}),
    # A step goes from running to running when a lease that ran out is taken over.
    StepStatus.RUNNING: frozenset({StepStatus.RUNNING, StepStatus.WAITING, StepStatus.PARKED, *_ENDED_STEP}),
    StepStatus.WAITING: frozenset({StepStatus.RUNNING, *_ENDED_STEP}),
    StepStatus.PARKED: frozenset({StepStatus.RUNNING}),
    **{ended: frozenset() for ended in _ENDED_STEP},
}


def run_is_over(status: RunStatus) -> bool:
    """Whether a run in this status can change no more."""
    return not RUN_TRANSITIONS[status]


def step_is_over(status: StepStatus) -> bool:
    """Whether a step in this status can change no more."""
    return not STEP_TRANSITIONS[status]


def check_transition[S: StrEnum](table: Mapping[S, frozenset[S]], before: S, after: S) -> None:
    """Raise `IllegalTransition` unless `table` allows going from `before` to `after`."""
    if after not in table[before]:
        raise IllegalTransition(f"cannot go from {before.value} to {after.value}")
