"""The last delivery that the broker allows a message, and messages that take their process down at every delivery.

After the last delivery the broker moves a message to the dead-letter queue, and tells nobody. So the last delivery runs
no agent. A step whose runners were lost at the deliveries before has failed, which is recorded and told; for any other
step a copy of the message is sent, which has all its deliveries before it: what was given back because a store or the
task hub did not answer counts against no agent.
"""

from datetime import datetime
from itertools import takewhile

from shared import names
from shared.contracts import AgentTask, ErrorInfo
from shared.state.decisions import why_unwanted
from shared.state.documents import LOST, RunRecord, StepDocument
from shared.status import StepStatus, step_is_over

MOST_LOST = names.MAX_DELIVERIES - 1
"""So many runners of a step may be lost one after the other before its message's last delivery gives it up."""


def is_last(delivery_count: int | None) -> bool:
    """Whether a queue or a subscription delivers a message for the last time; `delivery_count` is 1 at its first."""
    return (delivery_count or 1) >= names.MAX_DELIVERIES


def is_poisoned(step: StepDocument) -> bool:
    """Whether the latest runners of a step that was just claimed again were all lost, as many as there may be."""
    return _lost_in_a_row(step) >= MOST_LOST


def poisoned(step: StepDocument) -> ErrorInfo:
    """Why such a step has failed."""
    return ErrorInfo(
        type=LOST,
        message=f"its process stopped without a word at each of {_lost_in_a_row(step)} deliveries of its message,"
        " so it is not run again",
    )


def needs_a_fresh_message(record: RunRecord | None, task: AgentTask, now: datetime) -> bool:
    """Whether the step would be run now, and is not poisoned: then a message with deliveries left has to do it."""
    if record is None or why_unwanted(record.run, task.step_id) is not None:
        return False
    step = next((each for each in record.steps if each.step_id == task.step_id), None)
    if step is None:
        return True
    if step.agent != task.agent or step_is_over(step.status) or step.status is StepStatus.PARKED:
        return False
    is_lost = step.status is StepStatus.RUNNING and step.lease_until <= now
    is_held = step.status is StepStatus.RUNNING and not is_lost
    return not is_held and _lost_in_a_row(step) + is_lost < MOST_LOST


def _lost_in_a_row(step: StepDocument) -> int:
    return len(list(takewhile(lambda attempt: attempt.error.type == LOST, reversed(step.attempts))))
