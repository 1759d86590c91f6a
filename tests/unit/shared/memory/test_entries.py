"""What may be remembered, and what decides between two entries under one key."""

from typing import Any

import pytest
from pydantic import ValidationError

from shared.memory.entries import MAX_LINE_CHARS, Embedding, Line, Scope, line_of
from tests.support.memories import a_fact, a_turn


@pytest.mark.parametrize(
    "changes",
    [
        {"text": ""},
        {"text": "x" * 4001},
        {"text": 7},
        {"key": ""},
        {"key": "x" * 201},
        {"at": "2026-01-01T12:00:00"},
        {"scope": {"tenant": "a/b"}},
        {"scope": {"tenant": ""}},
        {"scope": {"tenant": "a" * 101}},
        {"scope": {"session": "a", "agent": "b"}},
        {"scope": {"agent": "No Agent"}},
        {"source": {"run": "run-1"}},
        {"embedding": {"model": "m", "vector": [float("nan")]}},
        {"embedding": {"model": "m", "vector": [0.0] * 4097}},
        {"colour": "red"},
    ],
    ids=str,
)
def test_a_fact_that_breaks_its_contract_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        a_fact("x").__class__.model_validate({**a_fact("x").model_dump(), **changes})


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [{"speaker": "me", "text": "x"}] * 11,
        [{"speaker": "", "text": "x"}],
        [{"speaker": "a\nb", "text": "x"}],
        [{"speaker": "me", "text": ""}],
        [{"speaker": "me", "text": "x" * (MAX_LINE_CHARS + 1)}],
    ],
    ids=lambda lines: str(lines)[:40],
)
def test_a_turn_that_breaks_its_contract_is_refused(lines: list[Any]) -> None:
    with pytest.raises(ValidationError):
        a_turn("x").__class__.model_validate({**a_turn("x").model_dump(), "lines": lines})


def test_scopes_have_paths_of_their_own() -> None:
    scopes = [Scope(), Scope(agent="a"), Scope(session="a"), Scope(tenant="a"), Scope(tenant="a", agent="a")]
    assert len({scope.path for scope in scopes}) == len(scopes)


def test_a_later_entry_has_the_greater_stamp_and_the_same_entry_the_same() -> None:
    assert a_fact("z", key="k").stamp < a_fact("a", key="k", at=0.000001).stamp
    assert a_fact("a").stamp == a_fact("a").stamp
    assert a_fact("a").stamp != a_fact("a", embedding=Embedding(model="m", vector=(1.0,))).stamp


def test_of_a_long_text_a_line_keeps_the_beginning_and_says_what_is_left_out() -> None:
    line = line_of("me", "x" * 9000)
    assert len(line.text) <= MAX_LINE_CHARS
    assert line.text.endswith("[1060 characters left out]")


def test_a_line_of_json_is_its_text_and_one_of_nothing_says_so() -> None:
    assert line_of("me", {"ж": 1}) == Line(speaker="me", text='{"ж": 1}')
    assert line_of("me", "").text == "(nothing)"
