"""How a conversation is trimmed: the newest turns, whole, within the budget, and what was left out is counted."""

import random

import pytest

from shared.memory.conversation import FRAME_TOKENS, Conversation, trimmed, turn_tokens
from tests.support.memories import a_turn

TURNS = [a_turn(f"turn {number}", at=number) for number in range(5)]
SIZE = turn_tokens(TURNS[0])


def test_everything_is_kept_when_there_is_room() -> None:
    assert trimmed(TURNS, 10_000) == Conversation(tuple(TURNS), FRAME_TOKENS + 5 * SIZE, 0, 0)


def test_the_newest_are_kept_in_their_order_and_the_rest_is_counted() -> None:
    kept = trimmed(TURNS, FRAME_TOKENS + 2 * SIZE)
    assert kept == Conversation(tuple(TURNS[3:]), FRAME_TOKENS + 2 * SIZE, 3, 3 * SIZE)


def test_a_turn_that_does_not_fit_whole_is_left_out() -> None:
    assert trimmed(TURNS, FRAME_TOKENS + 2 * SIZE - 1).turns == (TURNS[4],)


def test_nothing_older_than_a_turn_that_does_not_fit_is_kept() -> None:
    turns = [TURNS[0], a_turn("long " * 500, at=1), TURNS[2]]
    assert trimmed(turns, FRAME_TOKENS + 3 * SIZE).turns == (TURNS[2],)


@pytest.mark.parametrize("room", [-1, 0, 1, FRAME_TOKENS + SIZE - 1])
def test_nothing_is_kept_when_the_newest_does_not_fit(room: int) -> None:
    assert trimmed(TURNS, room) == Conversation((), 0, 5, 5 * SIZE)


def test_no_turns_are_an_empty_conversation() -> None:
    assert trimmed([], 100) == Conversation()


def test_a_turn_counts_at_least_a_token_for_two_bytes() -> None:
    assert turn_tokens(a_turn("日" * 100)) >= 2 * len(("日" * 100).encode()) / 2


@pytest.mark.parametrize("seed", range(50))
def test_whatever_the_turns_and_the_room_the_account_adds_up(seed: int) -> None:
    chance = random.Random(seed)
    turns = [a_turn("x" * chance.randint(1, 400), at=number) for number in range(chance.randint(0, 20))]
    room = chance.randint(0, 3000)
    kept = trimmed(turns, room)
    assert kept.tokens <= room
    assert kept.turns == tuple(turns[kept.left_out :])
    assert kept.left_out_tokens == sum(turn_tokens(turn) for turn in turns[: kept.left_out])
    if kept.left_out:
        assert max(kept.tokens, FRAME_TOKENS) + turn_tokens(turns[kept.left_out - 1]) > room
