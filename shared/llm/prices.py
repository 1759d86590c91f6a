"""What tokens cost: a dated table, and the sum. A model that is not in the table has an unknown cost, never none."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

AS_OF = date(2026, 11, 1)
"""When the prices below were the providers' list prices (Azure's Global Standard deployments match OpenAI's list)."""

OFFLINE_MODEL = "offline-model"


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens."""

    input: float
    output: float


PRICES: Mapping[str, Price] = {
    OFFLINE_MODEL: Price(0.0, 0.0),
    "gpt-4o-mini": Price(0.15, 0.60),
    "gpt-4.1-mini": Price(0.40, 1.60),
    "gpt-5-mini": Price(0.25, 2.00),
    "gpt-5.4-mini": Price(0.75, 4.50),
    "gpt-5.6-luna": Price(0.20, 1.20),
    "gpt-6-luna": Price(0.10, 0.50),
}

_DATED = re.compile(r"-\d{4}-\d{2}-\d{2}$")


def price_of(model: str) -> Price | None:
    """What a model costs, or None when that is unknown.

    A provider answers with a dated name (`gpt-5-mini-2026-08-07`), which has the price of its undated one.
    """
    return PRICES.get(model) or PRICES.get(_DATED.sub("", model))


def cost_usd(model: str, input_tokens: int, output_tokens: int) -> float | None:
    """US dollars for these tokens, or None when the model's price is unknown."""
    price = price_of(model)
    if price is None:
        return None
    return round((input_tokens * price.input + output_tokens * price.output) / 1_000_000, 9)
