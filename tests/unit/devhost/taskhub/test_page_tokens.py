"""A continuation token comes back as it was written, or not at all."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devhost.taskhub.operations.page_tokens import BadToken, PageTokens

TOKENS = PageTokens(b"secret")
TOKEN = TOKENS.write("instances", (1_700_000_000_000_000, 7))


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.text(max_size=100), max_size=4).map(tuple))
def test_a_token_gives_back_its_position(position: tuple[int | str, ...]) -> None:
    token = TOKENS.write("entities", position)
    assert token.isascii()
    assert PageTokens(b"secret").read("entities", token) == position


@pytest.mark.parametrize(
    "token",
    [
        "",
        "0",
        "100",
        "é",
        "not a token",
        TOKEN + "A",
        TOKEN[:-1],
        "A" + TOKEN,
        TOKEN.swapcase(),
        "A" * 100_000,
        base64.urlsafe_b64encode(b"\0" * 8 + b'["instances",1,2]').decode(),
        PageTokens(b"another").write("instances", (1, 2)),
    ],
)
def test_what_the_hub_did_not_write_is_refused(token: str) -> None:
    with pytest.raises(BadToken, match="not one that this task hub gave out"):
        TOKENS.read("instances", token)


def test_a_token_of_another_listing_is_refused() -> None:
    with pytest.raises(BadToken, match="a listing of instances, not of entities"):
        TOKENS.read("entities", TOKEN)
