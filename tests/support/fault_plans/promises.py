"""What the app promises whatever goes wrong: each is a pure function from what was seen to how it was broken.

Nothing of the app's own code decides in them, so that a fault in it cannot hide itself.
"""

from tests.support.fault_plans.evidence import Breach, Evidence, Promise
from tests.support.fault_plans.promises_of_calls import (
    a_failed_call_is_tried_again_only_by_the_queue,
    calls_repeated_is_exact,
    no_call_is_made_for_a_recorded_step,
    one_owner_at_a_time,
    what_is_unsafe_is_done_once,
)
from tests.support.fault_plans.promises_of_messages import (
    no_message_is_lost,
    nobody_is_told_before_the_record,
    who_waits_is_told,
)
from tests.support.fault_plans.promises_of_runs import (
    every_run_ends,
    the_account_is_true,
    the_account_is_whole,
    the_usage_adds_up,
)

PROMISES: tuple[Promise, ...] = (
    every_run_ends,
    the_account_is_whole,
    the_account_is_true,
    the_usage_adds_up,
    no_call_is_made_for_a_recorded_step,
    one_owner_at_a_time,
    calls_repeated_is_exact,
    nobody_is_told_before_the_record,
    no_message_is_lost,
    who_waits_is_told,
    a_failed_call_is_tried_again_only_by_the_queue,
    what_is_unsafe_is_done_once,
)


def breaches(evidence: Evidence) -> list[Breach]:
    """Every promise that was not kept."""
    return [Breach(promise.__name__, how) for promise in PROMISES for how in promise(evidence)]
