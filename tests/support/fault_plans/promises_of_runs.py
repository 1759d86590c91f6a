"""What is promised of runs: they end, and their accounts are whole, true and add up. Pure functions."""

from collections.abc import Iterator

from orchestrations.nodes import PatternRequest
from orchestrations.requests import ParallelRequest
from orchestrations.requirements import AtLeast
from shared.contracts import AgentAccount, Outcome
from shared.status import RunStatus, StepStatus
from tests.support.fault_plans.attempts import made_again
from tests.support.fault_plans.evidence import OVER, Evidence
from tests.support.fault_plans.observed import Advanced, Granted, Sent

COST_OF_A_CALL = 0.01
LATEST_SECONDS = 3600.0
"""How long after its deadline a run may end: what goes wrong may keep its end from being recorded, or undone steps."""
UNANSWERED = ("the task could not be sent", "the event could not be published", "a message to ")
"""How a line begins for a step whose message may not have been sent, or of which one could not be read.

The run goes on without its answer, whatever becomes of the step.
"""


def every_run_ends(evidence: Evidence) -> Iterator[str]:
    """The orchestration ends, the run's document says how, in time, and no message is left lying."""
    ending = evidence.observed.ending
    if ending.record is None:
        yield "there is no run"
        return
    status = ending.record.run.status
    if status not in OVER:
        yield f"the run is {status}"
    never_begun = ending.orchestration is None and status is RunStatus.CANCELLED
    if ending.orchestration not in ("completed", "terminated") and not never_begun:
        yield f"its orchestration is {ending.orchestration}"
    if ending.lying:
        yield f"messages lie in their queues: {sorted(ending.lying)}"
    ended = next((each.at for each in evidence.observed.all(Advanced) if each.status in OVER), 0.0)
    if ended > evidence.request.seconds_in_all + LATEST_SECONDS:
        yield f"the run had {evidence.request.seconds_in_all:g} s, and ended after {ended:g}"


def the_account_is_whole(evidence: Evidence) -> Iterator[str]:
    """The account has one line for each step that was asked for; the orchestration returned the same."""
    ending, result = evidence.observed.ending, evidence.result
    if ending.record is None or result is None:
        yield "the run has no account"
        return
    lines = [line.step_id for line in result.account]
    if len(set(lines)) != len(lines):
        yield f"a step has two lines: {lines}"
    asked = {planned.step_id for planned in ending.record.run.plan} if result.status is RunStatus.CANCELLED else set()
    asked |= set(_asked_for(evidence))
    if missing := asked - set(lines):
        yield f"steps have no line: {sorted(missing)}"
    returned = ending.orchestration == "completed" and result.status is not RunStatus.CANCELLED
    if returned and ending.output != result.model_dump(mode="json"):
        yield f"the orchestration returned {ending.output}, the run says {result}"


def _asked_for(evidence: Evidence) -> Iterator[str]:
    """The steps that were sent to agents or given to them; of a run that is cancelled, those given before it was."""
    cancelling = (each.seq for each in evidence.observed.all(Advanced) if each.status is RunStatus.CANCELLING)
    end = next(cancelling, None)
    if end is None:
        yield from (step for sent in evidence.observed.all(Sent) for step in sent.steps)
    yield from (each.step for each in evidence.observed.all(Granted) if end is None or each.seq < end)


def the_account_is_true(evidence: Evidence) -> Iterator[str]:
    """Who is said to have answered has a recorded success, and completed is only what has nothing missing."""
    result = evidence.result
    if result is None:
        return
    for line in result.account:
        step = evidence.steps.get(line.step_id)
        if line.outcome is Outcome.ANSWERED and (step is None or step.status is not StepStatus.SUCCEEDED):
            yield f"{line.step_id} is said to have answered, and is {step.status if step else 'not begun'}"
    missing = [line.step_id for line in result.account if line.outcome is not Outcome.ANSWERED]
    if result.status is RunStatus.COMPLETED and missing and not _may_be_missing(evidence.request):
        yield f"the run is completed without {missing}"
    if result.status is RunStatus.COMPLETED and len(missing) == len(result.account):
        yield "the run is completed, and nobody answered"


def _may_be_missing(request: PatternRequest) -> bool:
    """Whether the request says that it is complete without some of those asked: a race, a vote, an undone step."""
    if isinstance(request, ParallelRequest):
        return request.require != "all" and not isinstance(request.require, AtLeast)
    return request.pattern in ("consensus", "hierarchical")


def the_usage_adds_up(evidence: Evidence) -> Iterator[str]:
    """The run's usage is that of the calls of the steps that its account counts; a cost is never too low."""
    result = evidence.result
    if result is None or result.status is RunStatus.CANCELLED:
        # What was at work when it was cancelled may still be recorded.
        return
    counted = [line.step_id for line in result.account if _is_counted(evidence, line)]
    calls = [answer for step in counted for each in evidence.attempts.get(step, ()) for answer in each.kept]
    tokens = (sum(call.tokens[0] for call in calls), sum(call.tokens[1] for call in calls))
    said, cost = (result.usage.input_tokens, result.usage.output_tokens), result.usage.cost_usd
    if said > tokens or (cost is not None and said != tokens):
        yield f"the calls used {tokens}, the run says {result.usage}"
    if cost is not None and abs(cost - len(calls) * COST_OF_A_CALL) > 1e-6:
        yield f"the calls cost {len(calls) * COST_OF_A_CALL:g}, the run says {cost:g}"
    again = [each for step in counted for each in made_again(evidence.attempts.get(step, ())) if each.answered]
    if cost is not None and again:
        yield f"the answers of {len(again)} calls that were made again were lost, and the cost is said to be {cost:g}"


def _is_counted(evidence: Evidence, line: AgentAccount) -> bool:
    """Whether the run was told the step's result: what nobody waited for any more is in no run's usage."""
    if line.outcome is Outcome.ANSWERED:
        return True
    step = evidence.steps.get(line.step_id)
    if step is None or step.result is None or line.outcome is Outcome.SKIPPED:
        return False
    if line.cause is not None and line.cause.startswith(UNANSWERED):
        return False
    said = step.result.error.message if step.result.error else None
    return line.outcome is Outcome.FAILED or line.cause == said
