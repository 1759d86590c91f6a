"""What an agent does wrong: it raises, it hangs, it answers when nobody waits any more, or all of its calls fail."""

from datetime import timedelta

from tests.faults.models.ground import LIBRARIAN, Ground, causes, waits

RESEARCHERS = ("web", "academic", "news", "social")


async def test_an_agent_that_raises_fails_at_once_with_its_error_and_the_others_answers_are_kept(
    ground: Ground,
) -> None:
    run = await ground.done(["web", "raiser", "news"], "parallel", require={"at_least": 2})
    assert run["status"] == "partial"
    assert {line["agent"]: line["outcome"] for line in run["account"]} == {
        "web": "answered",
        "raiser": "failed",
        "news": "answered",
    }
    [step] = [each for each in run["steps"] if each["agent"] == "raiser"]
    assert step["error"] == {"type": "RuntimeError", "message": "a fault in the agent itself", "retryable": False}
    assert (step["attempt"], step["attempts"]) == (1, [])
    [letter] = await ground.dead_letters(run["id"], "raiser")
    assert letter["error"]["type"] == "RuntimeError"
    assert (await ground.circuit("agent.raiser"))["failures"] == 1


async def test_an_agent_that_hangs_is_stopped_at_its_timeout_four_times_and_its_run_is_told(ground: Ground) -> None:
    run = await ground.done(["hanger"])
    [step] = run["steps"]
    assert (run["status"], step["status"], step["attempt"]) == ("failed", "timed_out", 4)
    assert [*causes(step), step["error"]["type"]] == ["AgentTimedOut"] * 4
    for wait, least in zip(waits(step), (5, 10, 15), strict=True):
        assert least <= wait <= least * 1.2
    assert len(await ground.dead_letters(run["id"], "hanger")) == 1


async def test_an_answer_that_comes_after_its_run_ended_changes_nothing_of_the_run_and_is_not_asked_for_again(
    ground: Ground,
) -> None:
    await ground.faults({"system": LIBRARIAN, "delay": 40})
    run = await ground.done(RESEARCHERS, "parallel", require={"at_least": 3}, deadline_seconds=30)
    assert run["status"] == "partial"
    assert await ground.followed() == [1], "it is still at work"

    await ground.host.advance(timedelta(minutes=10))
    later = await ground.task(run["id"])
    told = ("status", "result", "account", "completed_at", "calls_repeated")
    assert {name: later[name] for name in told} == {name: run[name] for name in told}
    late = await ground.step(run["id"], "academic")
    assert later["usage"]["input_tokens"] == run["usage"]["input_tokens"] + late["usage"]["input_tokens"]
    assert late["status"] == "succeeded", "what it made is paid for, and kept with its step"
    assert await ground.followed() == [1]
    assert await ground.dead_letters(run["id"], "academic") == []


async def test_while_all_calls_of_one_agent_fail_the_others_answer_and_in_the_end_it_is_asked_no_more(
    ground: Ground,
) -> None:
    await ground.faults({"system": LIBRARIAN, "answer": "prose"})
    runs = [await ground.done(RESEARCHERS, "parallel", require={"at_least": 3}) for _ in range(7)]
    for run in runs:
        outcomes = {line["agent"]: line["outcome"] for line in run["account"]}
        assert outcomes == {"web": "answered", "academic": "failed", "news": "answered", "social": "answered"}
    assert await ground.followed() == [10], "two calls each for the five that open its circuit, and none after it"
    states = {each["name"]: each["state"] for each in await ground.circuits()}
    assert states["agent.academic"] == "open"
    assert {state for name, state in states.items() if name != "agent.academic"} == {"closed"}
