"""The conversation of a session, as much of it as there is room for."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from shared.budget import BYTES_A_TOKEN
from shared.memory.entries import Turn

LINE_TOKENS = 8
"""What a line takes besides its speaker and its text, once it is shown to a model."""
FRAME_TOKENS = 60
"""What is shown around the turns: their tag, and that there were earlier ones."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """The last turns of a session, the oldest of them first. `left_out` counts the turns before them.

    `tokens` is an upper bound of what the turns come to, `left_out_tokens` of what was left out would have.
    """

    turns: tuple[Turn, ...] = ()
    tokens: int = 0
    left_out: int = 0
    left_out_tokens: int = 0


def trimmed(turns: Sequence[Turn], max_tokens: int) -> Conversation:
    """As many of the newest turns, in their order, as fit into `max_tokens`.

    A turn is there whole or not at all, and none is left out between two that are there. So nothing is kept when the
    newest turn alone is too large.
    """
    sizes = [turn_tokens(turn) for turn in turns]
    first, used = len(turns), FRAME_TOKENS
    while first > 0 and used + sizes[first - 1] <= max_tokens:
        first -= 1
        used += sizes[first]
    return Conversation(tuple(turns[first:]), used if first < len(turns) else 0, first, sum(sizes[:first]))


def turn_tokens(turn: Turn) -> int:
    """An upper bound of what a turn comes to in tokens."""
    return sum(ceil(len(f"{line.speaker}{line.text}".encode()) / BYTES_A_TOKEN) + LINE_TOKENS for line in turn.lines)
