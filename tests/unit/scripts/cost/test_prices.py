"""The price table: what it refuses, and that it agrees with the prices by which the app itself counts cost."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.cost.prices import PRICES, Meter, Price, PriceTable, Range
from scripts.cost.toml_file import FileRefused, read_toml
from shared.llm.prices import OFFLINE_MODEL
from shared.llm.prices import PRICES as THE_APPS
from tests.support.cost_examples import the_prices

amounts = st.floats(min_value=0, max_value=1e12)


def test_the_table_prices_every_model_as_the_app_does_when_it_counts_a_runs_cost() -> None:
    models = the_prices().models
    assert {name: (price.input, price.output) for name, price in THE_APPS.items() if name != OFFLINE_MODEL} == {
        name: (price.input, price.output) for name, price in models.items()
    }


def test_every_price_and_every_assumption_says_where_it_is_from() -> None:
    table = the_prices()
    named: list[Any] = [*table.prices.values(), *table.models.values(), *table.assumptions.values()]
    assert all(len(each.source) > 3 for each in named)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(lambda t: t.pop("as_of"), "as_of: Field required", id="no date"),
        pytest.param(lambda t: t.update(as_of="yesterday"), "as_of: ", id="no such date"),
        pytest.param(lambda t: t.update(currency="EUR"), "currency: ", id="another currency"),
        pytest.param(lambda t: t["prices"].pop("blob_writes"), "prices.blob_writes is missing", id="a price missing"),
        pytest.param(
            lambda t: t["prices"].update(blob_wites=t["prices"]["blob_writes"]), "blob_wites", id="a price misspelt"
        ),
        pytest.param(lambda t: t["prices"]["blob_writes"].update(low=-1), "prices.blob_writes.low", id="negative"),
        pytest.param(
            lambda t: t["prices"]["blob_writes"].update(high=float("nan")), "blob_writes.high", id="no number"
        ),
        pytest.param(lambda t: t["prices"]["blob_writes"].update(low=9), "low is 9, over high", id="ends exchanged"),
        pytest.param(lambda t: t["prices"]["blob_writes"].update(per=0), "prices.blob_writes.per", id="for nothing"),
        pytest.param(lambda t: t["prices"]["blob_writes"].update(source=" "), "blob_writes.source", id="no source"),
        pytest.param(lambda t: t["prices"]["blob_writes"].update(prize=1), "blob_writes.prize", id="unknown field"),
        pytest.param(
            lambda t: t["prices"]["service_bus_operations"].update(free=200_000_000),
            "in the order",
            id="free over tier",
        ),
        pytest.param(
            lambda t: t["assumptions"].pop("read_units"), "assumptions.read_units is missing", id="assumption"
        ),
        pytest.param(lambda t: t["models"]["gpt-5-mini"].pop("output"), "models.gpt-5-mini.output", id="half a model"),
    ],
)
def test_a_wrong_table_is_refused_with_the_field_named(tmp_path: Path, change: Any, said: str) -> None:
    table = tomllib.loads(PRICES.read_text(encoding="utf-8"))
    change(table)
    with pytest.raises(ValueError, match=r".") as refused:
        PriceTable.model_validate(table)
    assert said in _first_line(refused.value)


def _first_line(error: Any) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"


@pytest.mark.parametrize(
    ("text", "said"),
    [("as_of = ", "no TOML"), ("\xff", "no TOML"), ("", "as_of: Field required")],
    ids=["half a line", "no UTF-8", "empty"],
)
def test_a_file_that_is_no_table_is_refused_with_its_name(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(FileRefused, match=r"mine\.toml") as refused:
        read_toml(path, PriceTable)
    assert said in str(refused.value)


def test_a_file_that_is_not_there_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(FileRefused, match=r"nothing\.toml cannot be read: No such file"):
        read_toml(tmp_path / "nothing.toml", PriceTable)


def test_what_is_free_costs_nothing_and_what_is_above_it_does() -> None:
    price = the_prices().prices[Meter.FUNCTION_EXECUTIONS]
    assert price.cost(Range.exactly(250_000), free=True) == Range.exactly(0)
    assert price.cost(Range.exactly(1_250_000), free=True).high == pytest.approx(0.40)
    assert price.cost(Range.exactly(1_250_000), free=False).high == pytest.approx(0.50)


@pytest.mark.parametrize(
    ("operations", "dollars"),
    [(13e6, 0), (14e6, 0.80), (100e6, 69.60), (101e6, 70.10), (2_500e6, 1269.60), (2_600e6, 1289.60)],
)
def test_each_part_of_a_quantity_has_the_price_of_its_own_tier(operations: float, dollars: float) -> None:
    """By hand, from Service Bus Standard: 13 million included, then 0.80, 0.50 and 0.20 a million."""
    price = the_prices().prices[Meter.SERVICE_BUS_OPERATIONS]
    assert price.cost(Range.exactly(operations), free=True).low == pytest.approx(dollars)


@given(meter=st.sampled_from(Meter), low=amounts, wide=amounts, by=amounts, free=st.booleans())
def test_neither_end_of_a_cost_falls_when_the_quantity_grows(
    meter: Meter, low: float, wide: float, by: float, free: bool
) -> None:
    price = the_prices().prices[meter]
    before = price.cost(Range(low, low + wide), free=free)
    after = price.cost(Range(low + by, low + wide + by), free=free)
    assert before.low <= after.low
    assert before.high <= after.high
    assert 0 <= before.low <= before.high


@given(quantity=amounts, low=st.floats(0, 100), wide=st.floats(0, 100), by=st.floats(0, 100))
def test_neither_end_of_a_cost_falls_when_the_price_rises(quantity: float, low: float, wide: float, by: float) -> None:
    def cost(more: float) -> Range:
        price = Price(service="s", what="w", per=10, low=low + more, high=low + wide + more, free=5, source="a test")
        return price.cost(Range.exactly(quantity), free=True)

    assert cost(0).low <= cost(by).low
    assert cost(0).high <= cost(by).high
