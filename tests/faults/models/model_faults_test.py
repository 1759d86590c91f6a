"""What a model does wrong, and what becomes of the run: it asks again, has the answer mended, or is told at once."""

from datetime import timedelta
from typing import Any

import pytest

from tests.faults.models.ground import GRADER, WRITER, Ground, causes, waits

JITTER = 1.2


async def tried_again(ground: Ground, fault: dict[str, Any], cause: str) -> dict[str, Any]:
    """The writer's step of a run in which its first model call meets `fault`: the second one was its last."""
    await ground.faults({"system": WRITER, "times": 1, **fault}, {"system": WRITER})
    run = await ground.done(["writer"])
    [step] = run["steps"]
    assert (run["status"], step["status"], step["attempt"]) == ("completed", "succeeded", 2)
    assert causes(step) == [cause]
    assert await ground.followed() == [1, 1], "each attempt is one call: the client retries nothing by itself"
    assert run["calls_repeated"] == 0
    assert await ground.dead_letters(run["id"], step["agent"]) == []
    return dict(step)


async def failed_at_once(ground: Ground, agent: str, system: str, fault: dict[str, Any], calls: int = 1) -> Any:
    """The error of a run that no other attempt would mend, after so many model calls."""
    await ground.faults({"system": system, **fault})
    began = ground.host.clock.now()
    run = await ground.done([agent])
    assert ground.host.clock.now() - began < timedelta(seconds=5), "it is told before any retry could be made"
    [step] = run["steps"]
    assert (run["status"], step["status"], step["attempt"], step["attempts"]) == ("failed", "failed", 1, [])
    assert await ground.followed() == [calls]
    [letter] = await ground.dead_letters(run["id"], step["agent"])
    assert letter["error"] == step["error"]
    assert step["error"]["retryable"] is False
    return step["error"]


# -- another attempt may help ----------------------------------------------------------------------------------------


async def test_a_model_that_does_not_answer_in_time_is_given_up_and_asked_again_5_s_later(ground: Ground) -> None:
    await ground.faults({"system": WRITER, "times": 1, "delay": 3600}, {"system": WRITER})
    task_id = await ground.begin(["writer"])
    given_up = await ground.in_real_time(task_id, "writer", "waiting")
    assert causes(given_up) == ["ModelUnavailable"]
    assert "in time" in given_up["attempts"][0]["error"]["message"]
    run = await ground.over(task_id)
    [step] = run["steps"]
    assert (run["status"], step["attempt"], run["calls_repeated"]) == ("completed", 2, 0)
    assert 5 <= waits(step)[0] <= 5 * JITTER
    assert await ground.followed() == [1, 1]


async def test_a_429_with_retry_after_is_asked_again_after_as_long_as_it_says(ground: Ground) -> None:
    step = await tried_again(ground, {"status": 429, "retry_after": 40}, "ModelRateLimited")
    assert 40 <= waits(step)[0] <= 40 * JITTER


async def test_a_429_that_asks_for_an_hour_is_asked_again_after_two_minutes(ground: Ground) -> None:
    step = await tried_again(ground, {"status": 429, "retry_after": 3600}, "ModelRateLimited")
    assert waits(step) == [120]


async def test_a_429_without_retry_after_is_asked_again_5_s_later_and_opens_no_circuit(ground: Ground) -> None:
    step = await tried_again(ground, {"status": 429}, "ModelRateLimited")
    assert 5 <= waits(step)[0] <= 5 * JITTER
    assert (await ground.circuit("agent.writer"))["failures"] == 0


async def test_a_500_is_asked_again_5_s_later(ground: Ground) -> None:
    step = await tried_again(ground, {"status": 500}, "ModelUnavailable")
    assert 5 <= waits(step)[0] <= 5 * JITTER


@pytest.mark.parametrize("broken", ["half", "hang_up"])
async def test_half_a_stream_is_no_answer_and_asked_again_5_s_later(ground: Ground, broken: str) -> None:
    step = await tried_again(ground, {"answer": broken}, "ModelUnavailable")
    assert 5 <= waits(step)[0] <= 5 * JITTER


async def test_a_model_that_is_away_for_good_is_asked_four_times_and_the_run_is_told(ground: Ground) -> None:
    await ground.faults({"system": WRITER, "status": 500})
    run = await ground.done(["writer"])
    [step] = run["steps"]
    assert (run["status"], step["status"], step["attempt"]) == ("failed", "failed", 4)
    for wait, least in zip(waits(step), (5, 10, 15), strict=True):
        assert least <= wait <= least * JITTER
    assert await ground.followed() == [4]
    assert [each["attempts"] for each in await ground.dead_letters(run["id"], step["agent"])] == [4]


# -- an answer that may be mended ------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", ["prose", "wrong_enum"])
async def test_json_that_is_none_and_a_right_schema_with_a_wrong_enum_are_mended_by_one_more_call(
    ground: Ground, wrong: str
) -> None:
    await ground.faults({"system": GRADER, "times": 1, "answer": wrong}, {"system": GRADER})
    run = await ground.done(["grader"])
    [step] = run["steps"]
    assert (run["status"], step["attempt"]) == ("completed", 1)
    assert step["result"]["word"] in ("pass", "fail")
    assert await ground.followed() == [1, 1]


@pytest.mark.parametrize("wrong", ["prose", "wrong_enum"])
async def test_an_answer_that_is_wrong_when_mended_fails_the_step_after_two_calls(ground: Ground, wrong: str) -> None:
    error = await failed_at_once(ground, "grader", GRADER, {"answer": wrong}, calls=2)
    assert error["type"] == "ModelAnswerInvalid"


# -- nothing that another attempt would mend -------------------------------------------------------------------------


async def test_a_body_that_is_no_json_fails_the_step_at_once(ground: Ground) -> None:
    error = await failed_at_once(ground, "writer", WRITER, {"answer": "no_json"})
    assert error["type"] == "ModelAnswerInvalid"


async def test_an_empty_answer_fails_the_step_at_once(ground: Ground) -> None:
    error = await failed_at_once(ground, "writer", WRITER, {"answer": "empty"})
    assert (error["type"], error["message"]) == ("ModelAnswerInvalid", "the model answered with nothing")


async def test_an_answer_of_10_mb_is_refused_and_the_host_works_on(ground: Ground) -> None:
    error = await failed_at_once(ground, "writer", WRITER, {"answer": "huge"})
    assert error["type"] == "ModelAnswerInvalid"
    assert "are the most that is taken" in error["message"]
    assert len(error["message"]) < 1000, "none of it is kept"
    await ground.works_again()


async def test_a_content_filter_is_a_refusal_of_what_was_asked_and_says_nothing_against_the_agent(
    ground: Ground,
) -> None:
    await ground.faults({"system": WRITER, "answer": "content_filter"})
    run = await ground.done(["writer"])
    assert (await ground.circuit("agent.writer"))["failures"] == 0
    assert (run["status"], run["steps"][0]["error"]["type"]) == ("failed", "ModelRefused")
    assert await ground.followed() == [1]


@pytest.mark.parametrize("status", [400, 401, 404])
async def test_a_4xx_fails_the_step_at_once(ground: Ground, status: int) -> None:
    error = await failed_at_once(ground, "writer", WRITER, {"status": status})
    assert error["type"] == ("ConfigurationError" if status == 401 else "ModelRefused")
