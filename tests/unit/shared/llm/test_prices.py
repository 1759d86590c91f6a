"""What tokens cost."""

from datetime import date

import pytest

from shared.llm.prices import AS_OF, OFFLINE_MODEL, PRICES, cost_usd


def test_the_cost_is_the_sum_of_what_goes_in_and_what_comes_out() -> None:
    assert cost_usd("gpt-5-mini", 1_000_000, 0) == 0.25
    assert cost_usd("gpt-5-mini", 0, 1_000_000) == 2.0
    assert cost_usd("gpt-5-mini", 1000, 200) == 0.00065


def test_no_tokens_cost_nothing() -> None:
    assert cost_usd("gpt-5-mini", 0, 0) == 0


def test_a_dated_name_has_the_price_of_its_undated_one() -> None:
    assert cost_usd("gpt-5-mini-2026-08-07", 1000, 0) == cost_usd("gpt-5-mini", 1000, 0)


@pytest.mark.parametrize("model", ["", "gpt-5-mini-turbo", "GPT-5-MINI", "gpt-5-mini-2026", "2026-08-07", "llama"])
def test_an_unknown_model_has_an_unknown_cost_even_for_no_tokens(model: str) -> None:
    assert cost_usd(model, 1000, 1000) is None
    assert cost_usd(model, 0, 0) is None


def test_the_offline_model_is_free_and_known_to_be() -> None:
    assert cost_usd(OFFLINE_MODEL, 10**9, 10**9) == 0


@pytest.mark.parametrize("model", [model for model in PRICES if model != OFFLINE_MODEL])
def test_a_listed_model_costs_something_and_more_to_answer_than_to_ask(model: str) -> None:
    assert 0 < PRICES[model].input < PRICES[model].output


def test_the_table_says_of_when_it_is() -> None:
    assert date(2026, 1, 1) < AS_OF <= date(2027, 12, 31)
