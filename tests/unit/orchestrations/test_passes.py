"""The decisions of a handoff: passes that are allowed, passes that are not, and an end whatever the agents want."""

import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from orchestrations.passes import (
    PassedOn,
    PassRefused,
    PassRules,
    Replied,
    after_turn,
    passes_left,
    read_turn,
    targets,
)
from shared.contracts import ErrorInfo
from shared.turns import Turn

MEMBERS = ("router", "billing", "technical")


def rules(limit: int = 5, members: Sequence[str] = MEMBERS, **allowed: tuple[str, ...]) -> PassRules:
    return PassRules(members=tuple(members), limit=limit, allowed=allowed)


def refusal(holders: Sequence[str], target: str, asked: PassRules | None = None) -> str:
    move = after_turn(asked or rules(), holders, Turn(pass_to=target))
    assert isinstance(move, PassRefused)
    assert move.error.message
    return move.error.type


def test_a_reply_ends_the_handoff() -> None:
    assert after_turn(rules(), ["router"], Turn(reply={"text": "Hello"})) == Replied({"text": "Hello"})


def test_a_pass_to_a_member_goes_to_it_with_the_reason() -> None:
    turn = Turn(pass_to="billing", reason="It is about an invoice.")
    assert after_turn(rules(), ["router"], turn) == PassedOn("billing", "It is about an invoice.")


def test_a_specialist_may_give_the_conversation_back_to_the_router_once() -> None:
    assert after_turn(rules(), ["router", "billing"], Turn(pass_to="router")) == PassedOn("router", "")
    again = ["router", "billing", "router", "technical"]
    assert after_turn(rules(), again, Turn(pass_to="router")) == PassedOn("router", "")


@pytest.mark.parametrize(
    ("holders", "target", "kind"),
    [
        (["router"], "ghost", "UnknownTarget"),
        (["router"], "", "UnknownTarget"),
        (["router"], "router", "PassedToItself"),
        (["router", "billing", "technical"], "billing", "PassedBefore"),
        (["router", "billing", "router"], "billing", "PassedBefore"),
    ],
)
def test_a_pass_that_leads_nowhere_is_refused_by_its_kind(holders: list[str], target: str, kind: str) -> None:
    assert refusal(holders, target) == kind


def test_a_pass_to_somebody_the_holder_may_not_pass_to_is_refused() -> None:
    assert refusal(["router", "billing"], "technical", rules(billing=("router",))) == "TargetNotAllowed"
    assert refusal(["router", "billing"], "router", rules(billing=())) == "TargetNotAllowed"


def test_no_more_passes_are_made_than_the_limit() -> None:
    assert refusal(["router", "billing"], "technical", rules(limit=1)) == "PassLimit"
    assert refusal(["router"], "billing", rules(limit=0)) == "PassLimit"
    assert passes_left(rules(limit=3), ["router", "billing"]) == 2


def test_the_targets_offered_are_those_that_would_not_be_refused() -> None:
    assert targets(rules(), ["router"]) == ("billing", "technical")
    assert targets(rules(), ["router", "billing"]) == ("router", "technical")
    assert targets(rules(), ["router", "billing", "router"]) == ("technical",)
    assert targets(rules(billing=("router",)), ["router", "billing"]) == ("router",)
    assert targets(rules(limit=1), ["router", "billing"]) == ()


@pytest.mark.parametrize("members", [MEMBERS, (*MEMBERS, "sales")])
def test_a_conversation_ends_however_it_is_passed_on_and_nobody_but_the_router_gets_it_twice(
    members: tuple[str, ...],
) -> None:
    """Every pass that is offered is tried, with a limit that is never met."""
    unlimited = rules(limit=1000, members=members)
    waiting: list[tuple[str, ...]] = [("router",)]
    longest = 0
    while waiting:
        holders = waiting.pop()
        longest = max(longest, len(holders))
        assert all(holders.count(member) <= 1 for member in members[1:])
        assert len(set(itertools.pairwise(holders))) == len(holders) - 1
        waiting += [(*holders, target) for target in targets(unlimited, holders)]
    assert longest <= 2 * len(members) - 1


# -- what a holder answered -------------------------------------------------------------------------------------


@pytest.mark.parametrize("output", ["Done.", {"text": "Done."}, ["Done."], 7, False])
def test_an_agent_that_knows_nothing_of_handoffs_replies_with_whatever_it_made(output: Any) -> None:
    assert read_turn(output) == Turn(reply=output)


def test_a_turn_is_read_as_one() -> None:
    assert read_turn({"reply": None, "pass_to": "billing", "reason": "r"}) == Turn(pass_to="billing", reason="r")
    assert read_turn({"reply": "Hi"}) == Turn(reply="Hi")


@pytest.mark.parametrize(
    "output",
    [
        None,
        {"reply": None, "pass_to": None},
        {"reply": "Hi", "pass_to": "billing"},
        {"pass_to": 7},
        {"pass_to": "billing", "surprise": 1},
        {"pass_to": "billing", "reason": "x" * 2001},
    ],
)
def test_what_claims_to_be_a_turn_and_is_none_is_an_error_that_says_what_is_wrong(output: Any) -> None:
    error = read_turn(output)
    assert isinstance(error, ErrorInfo)
    assert error.type == "InvalidTurn"
    assert error.message
