"""What is promised of messages and answers: none is lost, and none is told that is not recorded. Pure functions."""

from collections.abc import Iterator

from shared.status import StepStatus
from tests.support.fault_plans.evidence import MADE_BY_AGENTS, Evidence
from tests.support.fault_plans.observed import Completed, Recorded, Sent, Told
from tests.support.fault_plans.plan import Kind


def nobody_is_told_before_the_record(evidence: Evidence) -> Iterator[str]:
    """Whoever waits for a step is told what is on record."""
    recorded: dict[tuple[str, StepStatus], int] = {}
    for each in evidence.observed.all(Recorded):
        recorded.setdefault((each.step, each.status), each.seq)
    for told in evidence.observed.all(Told):
        if told.status not in MADE_BY_AGENTS or told.error == "InvalidMessage":
            continue
        if recorded.get((told.step, told.status), told.seq) >= told.seq:
            yield f"the run was told that {told.step} {told.status} before that was recorded"


def no_message_is_lost(evidence: Evidence) -> Iterator[str]:
    """A message is completed, dead, or still there; and completed only when its step needs it no more."""
    ending = evidence.observed.ending
    for sent in evidence.observed.all(Sent):
        place = (sent.queue, sent.message)
        states = [place in evidence.completed, place in ending.dead, place in ending.lying]
        if sum(states) != 1:
            yield f"message {sent.message} of {sent.queue} is in {sum(states)} places"
        elif place in evidence.completed and sent.taken:
            for step in sent.steps:
                if not _accounted_for(evidence, step, evidence.completed[place]):
                    yield f"the message {sent.message} for {step} was completed, and nothing came of it"


def _accounted_for(evidence: Evidence, step: str, done: Completed) -> bool:
    return (
        any(each.step == step and each.seq < done.seq for each in evidence.observed.all(Recorded))
        or evidence.waited_for_no_more(step, done.seq)
        or _has_another_message(evidence, step, done)
    )


def _has_another_message(evidence: Evidence, step: str, done: Completed) -> bool:
    """Whether another message for the step lay in a queue when one was completed."""
    for copy in evidence.observed.all(Sent):
        gone = evidence.completed.get((copy.queue, copy.message))
        another = copy.taken and step in copy.steps and copy.message != done.message
        if another and copy.seq < done.seq and (gone is None or gone.seq > done.seq):
            return True
    return False


def who_waits_is_told(evidence: Evidence) -> Iterator[str]:
    """A recorded step's last message is completed only after whoever waits was told, if the task hub keeps its word."""
    if any(fault.kind is Kind.SWALLOWED for fault in evidence.plan.faults):
        return
    told: dict[str, int] = {}
    for each in evidence.observed.all(Told):
        told.setdefault(each.step, each.seq)
    sent = {(each.queue, each.message): each.steps for each in evidence.observed.all(Sent)}
    for place, done in evidence.completed.items():
        for step in sent.get(place, ()):
            made = [each for each in evidence.observed.all(Recorded) if each.step == step and each.seq < done.seq]
            waits = any(each.status in MADE_BY_AGENTS for each in made) and told.get(step, done.seq) >= done.seq
            if waits and not (
                evidence.waited_for_no_more(step, done.seq) or _has_another_message(evidence, step, done)
            ):
                yield f"{step} is recorded, and its last message was completed before anybody was told"
