"""The clock is set, forward or back, while a model is asked, a claim is held, or an attempt is waited for."""

from datetime import timedelta

import pytest

from tests.faults.models.ground import WRITER, Ground, causes

HOUR = timedelta(hours=1)


@pytest.mark.parametrize("jump", [-HOUR, timedelta(seconds=30)], ids=["back", "forward"])
async def test_a_clock_that_is_set_during_a_model_call_breaks_nothing_off_and_repeats_nothing(
    ground: Ground, jump: timedelta
) -> None:
    await ground.faults({"system": WRITER, "delay": 3})
    task_id = await ground.begin(["writer"])
    await ground.host.settle()
    await ground.host.set_clock(jump)
    run = await ground.over(task_id)
    [step] = run["steps"]
    assert (run["status"], step["status"], step["attempt"], run["calls_repeated"]) == ("completed", "succeeded", 1, 0)
    assert step["run_seconds"] >= 0
    assert await ground.followed() == [1]


async def test_a_clock_that_is_set_past_the_end_of_a_claim_does_not_have_its_step_run_beside_it(
    ground: Ground,
) -> None:
    """The claim is over after a minute, the message's lock after five: nobody else is given the message."""
    await ground.faults({"system": WRITER, "delay": 120})
    task_id = await ground.begin(["writer"])
    await ground.host.settle()
    await ground.host.set_clock(timedelta(seconds=90))
    run = await ground.over(task_id)
    assert (run["status"], run["calls_repeated"]) == ("completed", 0)
    assert await ground.followed() == [1]


async def test_a_clock_that_is_set_past_the_end_of_a_lock_may_have_its_step_run_again_and_counts_it(
    ground: Ground,
) -> None:
    """The message comes again while the first delivery works: what was paid for twice is in `calls_repeated`."""
    await ground.faults({"system": WRITER, "delay": 400})
    task_id = await ground.begin(["writer"])
    await ground.host.settle()
    await ground.host.set_clock(timedelta(minutes=6))
    run = await ground.over(task_id)
    [step] = run["steps"]
    [calls] = await ground.followed()
    assert (run["status"], step["status"]) == ("completed", "succeeded")
    assert run["calls_repeated"] == calls - 1 <= 1
    assert await ground.dead_letters(task_id, "writer") == []


@pytest.mark.parametrize("jump", [-HOUR, timedelta(minutes=1)], ids=["back", "forward"])
async def test_a_clock_that_is_set_during_a_retry_wait_loses_no_attempt_and_makes_none_twice(
    ground: Ground, jump: timedelta
) -> None:
    await ground.faults({"system": WRITER, "times": 1, "status": 503}, {"system": WRITER})
    task_id = await ground.begin(["writer"])
    await ground.host.settle()
    assert (await ground.step(task_id, "writer"))["status"] == "waiting"
    await ground.host.set_clock(jump)
    run = await ground.over(task_id)
    [step] = run["steps"]
    assert (run["status"], step["attempt"], causes(step)) == ("completed", 2, ["ModelUnavailable"])
    assert await ground.followed() == [1, 1]


async def test_a_clock_that_is_set_past_a_runs_deadline_ends_it_with_timed_out(ground: Ground) -> None:
    await ground.faults({"system": WRITER, "delay": 60})
    task_id = await ground.begin(["writer"], deadline_seconds=300)
    await ground.host.settle()
    await ground.host.set_clock(HOUR)
    run = await ground.over(task_id)
    assert run["status"] == "failed"
    assert [line["outcome"] for line in run["account"]] == ["timed_out"]
