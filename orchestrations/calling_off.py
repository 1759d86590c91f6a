"""Calling off what nobody waits for any more: steps that are open when a run goes on or ends without them.

They are called off together, before the run begins anything else: not yet claimed ones cost nothing then, and a nested
pattern is stopped. A run that ends at once calls off only patterns, because no step of a run that is over is begun.

Determinism contract: reads nothing but the run, and yields only durable tasks.
"""

from durabletask.task import TaskFailedError

from orchestrations.branches import Step
from orchestrations.calls import CallOff
from orchestrations.nodes import PatternRequest
from orchestrations.retrying import ACTIVITY_RETRY
from orchestrations.run import Run
from shared import names


def call_off_open[R: PatternRequest](run: Run[R], *, run_ends: bool = False) -> Step[None]:
    """Call off what is open, if anything is. When that fails, what is open goes on until its own deadline."""
    opened, run.left_open = run.left_open, []
    nested = [run.step_id(call.name) for call in opened if isinstance(call.node, PatternRequest)]
    if not run.calls_off or not (nested if run_ends else opened):
        return
    asked = CallOff(task_id=run.task_id, steps=tuple(run.step_id(call.name) for call in opened), nested=tuple(nested))
    try:
        yield run.ctx.call_activity(
            names.ACTIVITY_CALL_OFF, input=asked.model_dump(mode="json"), retry_policy=ACTIVITY_RETRY
        )
    except TaskFailedError:
        # It was worth trying; the account is the same without it.
        return
