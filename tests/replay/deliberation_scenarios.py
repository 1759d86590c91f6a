"""The runs of votes, handoffs and review loops whose histories are kept.

See `tests.replay.scenarios` for the cues. The model gives the first of the answers that a schema allows; whose
question begins with `SECOND` gets the second.
"""

from typing import Any

from tests.replay.scenarios import Scenario


def voter(name: str, question: str = "FIRST") -> dict[str, str]:
    return {"agent": "moderator-harm", "name": name, "request": question}


def vote(*questions: str, **more: Any) -> dict[str, Any]:
    voters = [voter(f"voter-{number}", question) for number, question in enumerate(questions, start=1)]
    return {"pattern": "consensus", "request": "tides", "voters": voters, "options": ["yes", "no"], **more}


def handoff(request: str, **more: Any) -> dict[str, Any]:
    return {"pattern": "handoff", "request": request, "specialists": ["support-billing"], **more}


def review_loop(request: str, **more: Any) -> dict[str, Any]:
    return {"pattern": "review-loop", "request": request, **more}


COMMITTEE = {"pattern": "consensus", "name": "vote", "voters": ["moderator-harm", "judge"], "options": ["yes", "no"]}

DELIBERATION = (
    Scenario("consensus-success", vote("FIRST", "SECOND", "FIRST"), "completed"),
    Scenario("consensus-early", vote(*["FIRST"] * 5), "completed"),
    Scenario("consensus-width", vote(*["FIRST"] * 5, width=4), "completed"),
    Scenario("consensus-partial", vote("FAIL", "FIRST", "FIRST"), "partial"),
    Scenario("consensus-failure", vote("FAIL", "FAIL", "FIRST"), "failed"),
    Scenario("consensus-timeout", vote("HANG", "FIRST", "FIRST", deadline_seconds=3, rule="unanimous"), "partial"),
    Scenario("consensus-hurried", vote("HANG", "FIRST", "FIRST", deadline_seconds=6), "completed"),
    Scenario("consensus-judge", vote("FIRST", "SECOND", tie="judge"), "completed"),
    Scenario("consensus-nobody", vote("FIRST", "SECOND", tie={"name": "person", "deadline_seconds": 1}), "failed"),
    Scenario("consensus-budget", vote("FIRST", "FIRST", "FIRST", budget={"tokens": 1000}), "budget_exhausted"),
    Scenario(
        "consensus-nested", {"pattern": "sequential", "request": "tides", "agents": ["writer", COMMITTEE]}, "completed"
    ),
    Scenario("handoff-success", handoff("FIRST"), "completed"),
    Scenario("handoff-reply", handoff("SECOND"), "completed"),
    Scenario("handoff-failure", handoff("FAIL"), "failed"),
    Scenario("handoff-timeout", handoff("HANG", deadline_seconds=3), "failed"),
    Scenario("review-loop-success", review_loop("FIRST"), "completed"),
    Scenario("review-loop-partial", review_loop("SECOND", max_rounds=2, unaccepted="keep"), "partial"),
    Scenario("review-loop-unchanged", review_loop("SECOND SAME"), "failed"),
    Scenario("review-loop-failure", review_loop("FAIL"), "failed"),
    Scenario("review-loop-timeout", review_loop("HANG", deadline_seconds=3), "failed"),
)
