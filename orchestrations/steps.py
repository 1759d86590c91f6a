"""The steps that every pattern is made of: ask one node, ask many at once, record the run.

Determinism contract: these generators read no clock but the orchestration's, touch no store, network or
environment, and yield only durable tasks. A replay over the same history yields the same tasks in the same order.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from durabletask.task import OrchestrationContext

from orchestrations.branches import Step
from orchestrations.calls import Recorded, RunUpdate
from orchestrations.fan_out import FanOut
from orchestrations.nodes import PatternRequest
from orchestrations.retrying import STORE_RETRY
from orchestrations.run import Answer, NodeCall, Run
from shared import names
from shared.contracts import RunResult
from shared.status import RunStatus

NOT_NEEDED = ("NotNeeded", "called off: there was enough without it")
HOPELESS = ("NotNeeded", "not asked: what is required could not be had any more")


class NotRecorded(Exception):
    """The state store refused a run's end for good, and the orchestration fails with the reason."""


class Verdict(Enum):
    """What the answers so far mean for the rest of a fan-out."""

    GO_ON = "ask the rest and wait for them"
    BEGIN_NO_MORE = "wait for those under way and ask no others"
    ENOUGH = "wait for nobody any more"


@dataclass
class Tally:
    """The answers so far, in the order they came. `asked` counts all calls, begun or not."""

    asked: int
    answers: list[Answer] = field(default_factory=list)
    succeeded: int = 0

    @property
    def without_success(self) -> int:
        """How many ended without success."""
        return len(self.answers) - self.succeeded

    @property
    def open(self) -> int:
        """How many may still answer."""
        return self.asked - len(self.answers)

    def add(self, answer: Answer) -> None:
        """Count one more answer."""
        self.answers.append(answer)
        self.succeeded += answer.succeeded


type Decide = Callable[[Tally], Verdict]


def everyone(_: Tally) -> Verdict:
    """Wait for all of them, whatever they answer."""
    return Verdict.GO_ON


def call_node[R: PatternRequest](run: Run[R], call: NodeCall) -> Step[Answer]:
    """Ask one node and wait for its answer. Never raises for its failure: whatever happens, an `Answer` says it."""
    [answer] = yield from call_nodes(run, [call])
    return answer


def call_nodes[R: PatternRequest](
    run: Run[R],
    calls: Sequence[NodeCall],
    *,
    width: int | None = None,
    decide: Decide = everyone,
    until: datetime | None = None,
) -> Step[tuple[Answer, ...]]:
    """Ask many nodes at once, at most `width` at a time; their answers in the order of `calls`.

    The run's deadline, or `until` if that is earlier, ends the wait.

    `decide` looks at the answers after each has come, and must be a pure function of them. Who was not begun when it
    says that there is enough has an answer that says `skipped`; who did not answer in time one that says `timed_out`.
    """
    fan_out = FanOut(run, calls, width or max(1, len(calls)), min(run.deadline, until or run.deadline))
    tally = Tally(len(calls))
    verdict, why = Verdict.GO_ON, None
    while verdict is not Verdict.ENOUGH:
        if verdict is Verdict.GO_ON:
            yield from fan_out.start()
        if fan_out.idle:
            why = HOPELESS if verdict is Verdict.BEGIN_NO_MORE else None
            break
        come = yield from fan_out.wait()
        if not come:
            break
        for answer in come:
            tally.add(answer)
            if verdict is not Verdict.ENOUGH:
                verdict = decide(tally)
        if len(calls) > 1:
            run.progress(asked=tally.asked, answered=tally.succeeded, without_success=tally.without_success)
    return fan_out.finish(why=NOT_NEEDED if verdict is Verdict.ENOUGH else why)


def record_run(
    ctx: OrchestrationContext, status: RunStatus, result: RunResult | None = None, *, task_id: str | None = None
) -> Step[None]:
    """Write the run's status, and its result once it is over, to the state store. Raises `NotRecorded`.

    The run is this orchestration's own, unless `task_id` says otherwise.
    """
    update = RunUpdate(task_id=task_id or ctx.instance_id, status=status, result=result)
    answer = yield ctx.call_activity(
        names.ACTIVITY_RECORD_RUN, input=update.model_dump(mode="json"), retry_policy=STORE_RETRY
    )
    refused = Recorded.model_validate(answer or {}).refused
    if refused is not None:
        raise NotRecorded(f"{refused.type}: {refused.message}")
