"""Budgets as arithmetic: what a call may cost at most, what is left once that is set aside, what comes back after.

An amount is set aside before a call is made and the unused part given back after it, so that calls made at once
cannot together use more than there is.
"""

from math import ceil

from shared.cards import AgentCard
from shared.contracts import Contract, Usage

BYTES_A_TOKEN = 2
"""Texts have three to five bytes a token, and dense ones still more than two: an estimate that errs upwards."""


class Allowance(Contract):
    """What may still be used. None is no limit."""

    tokens: int | None = None
    usd: float | None = None


class Amount(Contract):
    """Tokens and what they cost; `usd` is None when the price is unknown."""

    tokens: int = 0
    usd: float | None = 0.0


NO_LIMIT = Allowance()


def upper_bound(card: AgentCard, input_bytes: int) -> Amount:
    """The most that one step of an agent may use on an input of that size.

    An agent that calls no model uses nothing. `card` has been completed by the settings (`max_output_tokens`, `rates`).
    """
    if not card.uses_model:
        return Amount()
    tokens_in = (card.prompt_tokens + ceil(input_bytes / BYTES_A_TOKEN)) * card.model_calls
    tokens_out = (card.max_output_tokens or 0) * card.model_calls
    usd = None if card.rates is None else (tokens_in * card.rates.input + tokens_out * card.rates.output) / 1e6
    return Amount(tokens=tokens_in + tokens_out, usd=None if usd is None else round(usd, 9))


def set_aside(left: Allowance, amount: Amount) -> Allowance | None:
    """What is left once `amount` is set aside, or None when there is not enough."""
    tokens = usd = None
    if left.tokens is not None:
        tokens = left.tokens - amount.tokens
    if left.usd is not None:
        # A price that is unknown fits into no budget of money.
        usd = round(left.usd - amount.usd, 9) if amount.usd is not None else -1.0
    return None if (tokens or 0) < 0 or (usd or 0) < 0 else Allowance(tokens=tokens, usd=usd)


def give_back(left: Allowance, amount: Amount, used: Usage) -> Allowance:
    """What is left once the unused part of `amount` is back; a cost that is unknown gives no money back."""
    tokens = usd = None
    if left.tokens is not None:
        tokens = max(0, left.tokens + amount.tokens - used.input_tokens - used.output_tokens)
    if left.usd is not None:
        back = 0.0 if amount.usd is None or used.cost_usd is None else amount.usd - used.cost_usd
        usd = max(0.0, round(left.usd + back, 9))
    return Allowance(tokens=tokens, usd=usd)


def share(left: Allowance, parts: int) -> Allowance:
    """One of `parts` equal parts of what is left."""
    return Allowance(
        tokens=None if left.tokens is None else left.tokens // parts,
        usd=None if left.usd is None else round(left.usd / parts, 9),
    )


def within(left: Allowance, asked: Allowance) -> Allowance:
    """As much of `asked` as there is left."""
    return Allowance(tokens=_smaller(left.tokens, asked.tokens), usd=_smaller(left.usd, asked.usd))


def minus(left: Allowance, taken: Allowance) -> Allowance:
    """What is left once `taken` is handed on."""
    return Allowance(
        tokens=None if left.tokens is None else left.tokens - (taken.tokens or 0),
        usd=None if left.usd is None else round(left.usd - (taken.usd or 0), 9),
    )


def plus(left: Allowance, returned: Allowance) -> Allowance:
    """What is left once `returned` has come back."""
    return Allowance(
        tokens=None if left.tokens is None else left.tokens + (returned.tokens or 0),
        usd=None if left.usd is None else round(left.usd + (returned.usd or 0), 9),
    )


def _smaller[N: (int, float)](one: N | None, other: N | None) -> N | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
