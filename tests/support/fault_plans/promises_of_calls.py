"""What is promised of model calls and of what may not be done twice. Pure functions."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from shared.status import StepStatus
from tests.support.fault_plans.attempts import Attempt, made_again
from tests.support.fault_plans.evidence import Evidence
from tests.support.fault_plans.observed import Affected, Asked, Recorded, Released, Unanswered
from tests.support.fault_plans.plan import Kind

LEASE_SECONDS = 60.0
FIRST_RETRY_SECONDS = 5.0
MOST_ATTEMPTS = 4
ASK_NO_MODEL = ("sender",)


def no_call_is_made_for_a_recorded_step(evidence: Evidence) -> Iterator[str]:
    """Once a step is recorded no model is asked for it, but by one whose claim had run out before the record."""
    recorded: dict[str, int] = {}
    for each in evidence.observed.all(Recorded):
        if each.status is not StepStatus.PARKED:
            recorded.setdefault(each.step, each.seq)
    for asked in evidence.observed.all(Asked):
        step = evidence.step_of.get(asked.owner)
        if step is None:
            yield f"{asked.owner} asked a model without a claim"
        elif asked.seq > recorded.get(step, asked.seq) and not _overtaken(evidence.attempts[step], asked):
            yield f"{asked.owner} asked a model for {step}, which was recorded"


def _overtaken(attempts: Sequence[Attempt], asked: Asked) -> bool:
    owners = [each.granted for each in attempts]
    own = next(each for each in owners if each.owner == asked.owner)
    return any(own.seq < each.seq < asked.seq for each in owners)


def one_owner_at_a_time(evidence: Evidence) -> Iterator[str]:
    """A step is given to another only after its owner gave it back, or was not heard of for a lease."""
    lease = LEASE_SECONDS - evidence.clocks_differ_by
    for step, attempts in evidence.attempts.items():
        for earlier, later in pairwise(attempts):
            ended = earlier.ended is not None and earlier.ended.seq < later.granted.seq
            heard = max([earlier.granted.at, *(each.at for each in earlier.renewed if each.seq < later.granted.seq)])
            if not ended and later.granted.at - heard < lease:
                yield f"{step} was given to {later.granted.owner} while {earlier.granted.owner} had it"


def calls_repeated_is_exact(evidence: Evidence) -> Iterator[str]:
    """Each attempt that was lost between its claim and its record, and made again, is counted once, and no other.

    For those lost before the record, with an answer, the count is how many calls were paid for twice. Those lost before
    or during the call are counted too, because nobody can tell what became of the call: for them it is the most that it
    can be.
    """
    for step_id, step in evidence.steps.items():
        asks_no_model = step.agent in ASK_NO_MODEL
        again = [] if asks_no_model else list(made_again(evidence.attempts.get(step_id, ())))
        if step.calls_repeated != len(again):
            windows = ", ".join(each.window for each in again) or "none was lost"
            yield f"{step_id} counts {step.calls_repeated} repeated calls, and there were {len(again)}: {windows}"
    total = sum(step.calls_repeated for step in evidence.steps.values())
    if evidence.observed.ending.calls_repeated != total:
        yield f"the run counts {evidence.observed.ending.calls_repeated} repeated calls, its steps {total}"


def a_failed_call_is_tried_again_only_by_the_queue(evidence: Evidence) -> Iterator[str]:
    """After a call that failed its attempt asks no more; the next begins 5 s later at the earliest; there are four."""
    failed: dict[str, Unanswered] = {}
    for seen in evidence.observed.seen:
        if isinstance(seen, Unanswered):
            failed.setdefault(seen.owner, seen)
        elif isinstance(seen, Asked) and seen.owner in failed:
            yield f"{seen.owner} asked a model again after call {failed[seen.owner].call} had failed"
    for step, attempts in evidence.attempts.items():
        if (begun := sum(each.began for each in attempts)) > MOST_ATTEMPTS:
            yield f"{step} was begun {begun} times"
        for earlier, later in pairwise(attempts):
            released = earlier.ended if isinstance(earlier.ended, Released) and not earlier.drained else None
            waited = FIRST_RETRY_SECONDS - evidence.clocks_differ_by
            if released is not None and later.granted.at - released.at < waited and not _comes_again(evidence):
                yield f"{step} was tried again {later.granted.at - released.at:g} s after it failed"


def _comes_again(evidence: Evidence) -> bool:
    """Whether the plan has messages come again beside the copies that wait: twice, or because no copy can be sent."""
    again = (Kind.TWICE, Kind.UNLOCKED, Kind.UNSETTLED)
    return any(fault.kind in again or fault.operation == "send" for fault in evidence.plan.faults)


def what_is_unsafe_is_done_once(evidence: Evidence) -> Iterator[str]:
    """What may not be done twice is not, and whoever looks finds that it was done, or that nobody can tell."""
    done: dict[str, int] = {}
    for each in evidence.observed.all(Affected):
        step_id = evidence.step_of.get(each.owner, "a step that was not claimed")
        done[step_id] = done.get(step_id, 0) + 1
    for step_id, times in done.items():
        step = evidence.steps.get(step_id)
        if times > 1:
            yield f"{step_id} was done {times} times"
        if step is None or step.status in (StepStatus.FAILED, StepStatus.TIMED_OUT, StepStatus.WAITING):
            yield f"{step_id} was done, and is {step.status if step else 'unknown'}"
