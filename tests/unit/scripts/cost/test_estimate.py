"""The bill: a price or a date changes what it is for and nothing else, and the parts add up."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.cost.counts import Counts, PatternCounts
from scripts.cost.estimate import (
    RUNS,
    Bill,
    Line,
    Unpriced,
    dominant,
    estimate,
    lines,
    per_run,
    total_of,
)
from scripts.cost.prices import Meter, PriceTable, Range, TokenMeter
from scripts.cost.standing import standing_usage
from scripts.cost.usage import Billed, Terms, Usage, added
from tests.support.cost_examples import (
    DEPLOYED,
    a_measurement,
    about,
    counts,
    more,
    places,
    some_counts,
    the_prices,
    the_profile,
)

BUILDS: Mapping[str, Any] = {
    "as it comes": {},
    "busy": {"runs_per_month": 10_000_000},
    "in storage": {"deployment__durable_backend": "storage"},
    "private": {"deployment__private_network": True, "deployment__always_ready_http": 1},
    "with a cache": {"model__cached_share": 0.5, "deployment__free_grants": False},
}


def the_bill(table: PriceTable | None = None, counted: Counts | None = None, **changes: Any) -> Bill:
    return estimate(a_measurement(counted), the_profile(**changes), table or the_prices(), DEPLOYED)


def dearer(meter: Billed, by: float = 1.0) -> PriceTable:
    """The table with one price raised."""
    table = the_prices()
    if isinstance(meter, TokenMeter):
        name = the_profile().model.name
        asked = table.models[name]
        more = asked.model_copy(update={meter.value: getattr(asked, meter.value) + by})
        return table.model_copy(update={"models": {**table.models, name: more}})
    price = table.prices[meter]
    raised = price.model_copy(update={"low": price.low + by, "high": price.high + by})
    return table.model_copy(update={"prices": {**table.prices, meter: raised}})


def parts(bill: Bill) -> Mapping[str, tuple[Line, ...]]:
    return {"idle": bill.idle, "month": bill.month, **{each.pattern: each.lines for each in bill.patterns}}


# -- a price, and the date ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("meter", [*TokenMeter, *Meter])
def test_another_price_changes_the_dollars_of_its_own_lines_and_nothing_else(meter: Billed, build: str) -> None:
    before, after = the_bill(**BUILDS[build]), the_bill(dearer(meter), **BUILDS[build])
    assert after.as_of == before.as_of
    for (name, old), (again, new) in zip(parts(before).items(), parts(after).items(), strict=True):
        assert name == again
        assert [(line.meter, line.what, line.quantity) for line in old] == [
            (line.meter, line.what, line.quantity) for line in new
        ]
        assert [line for line in old if line.meter != meter] == [line for line in new if line.meter != meter]


@pytest.mark.parametrize("meter", [*TokenMeter, *Meter])
def test_every_price_is_in_use_in_some_deployment(meter: Billed) -> None:
    """So that the test before this one cannot pass because a price is read nowhere."""
    bills = [(the_bill(**build), the_bill(dearer(meter, 1e6), **build)) for build in BUILDS.values()]
    assert any(total_of(after.month).low > total_of(before.month).low for before, after in bills)


def test_another_date_changes_the_date_and_nothing_else() -> None:
    later = the_prices().model_copy(update={"as_of": date(2031, 5, 4)})
    before, after = the_bill(), the_bill(later)
    assert after.as_of == date(2031, 5, 4)
    assert before.as_of != after.as_of
    assert parts(after) == parts(before)


@given(meter=st.sampled_from([*TokenMeter, *Meter]), by=st.floats(0, 1e6), build=st.sampled_from([*BUILDS]))
def test_no_total_falls_when_a_price_rises(meter: Billed, by: float, build: str) -> None:
    before, after = parts(the_bill(**BUILDS[build])), parts(the_bill(dearer(meter, by), **BUILDS[build]))
    for name, old in before.items():
        assert total_of(old).low <= total_of(after[name]).low
        assert total_of(old).high <= total_of(after[name]).high


@given(counted=counts, place=places, by=st.integers(0, 10**6))
def test_no_pattern_costs_less_when_a_count_grows(counted: Counts, place: tuple[str, str], by: int) -> None:
    before, after = the_bill(counted=counted), the_bill(counted=more(counted, place, by))
    for old, new in zip(before.patterns, after.patterns, strict=True):
        # Shares of a mix are multiplied in another order.
        assert old.total.low <= new.total.low * (1 + 1e-12)
        assert old.total.high <= new.total.high * (1 + 1e-12)


# -- how the parts make the whole ---------------------------------------------------------------------------------


def test_a_month_without_runs_costs_what_idling_costs() -> None:
    bill = the_bill(runs_per_month=0)
    assert bill.month == bill.idle


def test_a_months_quantities_are_those_of_its_runs_and_of_idling() -> None:
    """Every pattern has the same counts here, so that the mix does not matter."""
    bill, profile, table = the_bill(), the_profile(), the_prices()
    one = Terms(profile, table).usage(some_counts())
    idle = standing_usage(DEPLOYED, profile.deployment, table)
    quantities = {line.meter: line.quantity.high for line in bill.month}
    for meter, quantity in added(one).items():
        expected = quantity.high * profile.runs_per_month + idle.get(meter, Range.exactly(0)).high
        assert quantities.get(meter, 0.0) == pytest.approx(expected)


def test_a_pattern_is_told_for_a_thousand_runs_with_nothing_free() -> None:
    bill = the_bill(looks_per_run=0)
    executions = next(line for line in bill.patterns[0].lines if line.meter is Meter.FUNCTION_EXECUTIONS)
    assert executions.quantity.low == pytest.approx(2 * RUNS)
    assert executions.cost.low == pytest.approx(2 * RUNS * 0.40 / 1e6)


def test_runs_that_differ_are_averaged_and_looks_are_added() -> None:
    one, three = some_counts(), some_counts(executions=some_counts().executions * 3)
    counted = PatternCounts(request={}, runs=(one, three), look=Counts(executions=one.executions[:1]))
    usage = per_run(counted, Terms(the_profile(looks_per_run=5), the_prices()))
    assert usage[Meter.FUNCTION_EXECUTIONS] == about((2 + 6) / 2 + 5)


def test_what_looks_at_documents_leaves_none() -> None:
    look = Counts(store=some_counts().store)
    counted = PatternCounts(request={}, runs=(some_counts(),), look=look)
    usage = per_run(counted, Terms(the_profile(looks_per_run=100), the_prices()))
    alone = Terms(the_profile(), the_prices()).usage(some_counts())
    assert usage[Meter.COSMOS_GB_MONTHS].high == pytest.approx(alone[Meter.COSMOS_GB_MONTHS].high)


def test_what_is_free_for_a_subscription_is_paid_for_when_another_app_has_used_it_up() -> None:
    free, paid = the_bill(), the_bill(deployment__free_grants=False)
    assert total_of(paid.month).low > total_of(free.month).low
    bus = [line for line in paid.month if line.meter is Meter.SERVICE_BUS_OPERATIONS]
    assert bus == [line for line in free.month if line.meter is Meter.SERVICE_BUS_OPERATIONS]


def test_lines_of_nothing_are_left_out() -> None:
    usage: Usage = {Meter.BLOB_READS: Range.exactly(0), Meter.BLOB_WRITES: Range(0, 1)}
    assert [line.meter for line in lines(usage, the_profile(), the_prices(), free=False)] == [Meter.BLOB_WRITES]


# -- what dominates -----------------------------------------------------------------------------------------------


def a_line(service: str, low: float, high: float) -> Line:
    return Line(Meter.BLOB_READS, service, "for a test", Range.exactly(1), Range(low, high))


def test_what_costs_most_is_named_with_its_share_at_either_end() -> None:
    found = dominant(
        [a_line("Model", 6, 6), a_line("Durable", 0.5, 90), a_line("Durable", 0.5, 0), a_line("Bus", 3, 4)]
    )
    assert found is not None
    assert (found.low, found.low_share, found.high, found.high_share) == ("Model", 0.6, "Durable", 0.9)


def test_nothing_dominates_what_costs_nothing() -> None:
    assert dominant([]) is None
    assert dominant([a_line("Model", 0, 0)]) is None


# -- what cannot be told ------------------------------------------------------------------------------------------


def test_a_model_without_a_price_is_refused_with_those_that_have_one() -> None:
    with pytest.raises(Unpriced, match=r"model\.name: the price table does not know 'gpt-9', only gpt-4o-mini"):
        the_bill(model__name="gpt-9")


def test_a_pattern_that_was_not_measured_is_refused() -> None:
    whole = a_measurement()
    part = whole.model_copy(update={"patterns": {"handoff": whole.patterns["handoff"]}})
    with pytest.raises(Unpriced, match=r"mix\.sequential: this pattern was not measured"):
        estimate(part, the_profile(), the_prices(), DEPLOYED)


def test_a_pattern_that_has_no_share_need_not_be_measured() -> None:
    whole = a_measurement()
    part = whole.model_copy(update={"patterns": {"handoff": whole.patterns["handoff"]}})
    bill = estimate(part, the_profile(mix={"handoff": 1.0, "parallel": 0.0}), the_prices(), DEPLOYED)
    assert [each.pattern for each in bill.patterns] == ["handoff"]
