"""From counts to what is billed: by hand for counts that all differ, and for any counts that more is never less."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.cost.counts import Counts, Execution, StoreCounts
from scripts.cost.prices import Meter, Range, TokenMeter
from scripts.cost.profile import Profile
from scripts.cost.usage import Terms, UncountedRequest, Usage, actions, gb_seconds, request_units
from tests.support.cost_examples import about, counts, executions, more, places, some_counts, the_prices, the_profile


def usage(counted: Counts, profile: Profile | None = None) -> Usage:
    return Terms(profile or the_profile(), the_prices()).usage(counted)


# -- functions ----------------------------------------------------------------------------------------------------


def test_every_execution_is_billed_as_one() -> None:
    assert usage(some_counts())[Meter.FUNCTION_EXECUTIONS] == Range.exactly(2)


def test_an_execution_is_billed_in_tenths_of_a_second_and_alone_for_a_second_at_least() -> None:
    short = [Execution(function="f", seconds=0.01), Execution(function="f", seconds=1.11)]
    assert gb_seconds(short, the_profile()) == about((0.1 + 1.2) * 2, (1.0 + 1.2) * 2)


def test_an_execution_that_ends_on_a_tenth_is_not_billed_for_the_next() -> None:
    exact = [Execution(function="f", seconds=1.1 + 2.2)]
    assert gb_seconds(exact, the_profile()).low == pytest.approx(3.3 * 2)


def test_an_execution_waits_for_its_models_as_long_as_the_profile_says() -> None:
    asked = [Execution(function="f", seconds=0.5, model_calls=3)]
    profile = the_profile(model__seconds_per_call=10.0, deployment__instance_mb=512)
    assert gb_seconds(asked, profile) == about(30.5 * 0.5)


def test_executions_that_share_an_instance_share_its_time() -> None:
    asked = [Execution(function="f", seconds=2.0)] * 8
    shared = gb_seconds(asked, the_profile(deployment__executions_at_once=8))
    assert shared == about(2.0 * 2, 16.0 * 2)


@given(st.lists(executions, max_size=5), executions)
def test_another_execution_never_makes_it_less(given_executions: list[Execution], another: Execution) -> None:
    before = gb_seconds(given_executions, the_profile())
    after = gb_seconds([*given_executions, another], the_profile())
    assert before.low <= after.low
    assert before.high <= after.high


# -- the bus ------------------------------------------------------------------------------------------------------


def test_operations_are_what_was_sent_delivered_settled_and_renewed() -> None:
    """4 operations of transfers (5 if each message is one), 7 of deliveries, 8 + 9 + 10, and 16 empty for each of 6."""
    assert usage(some_counts())[Meter.SERVICE_BUS_OPERATIONS] == Range(4 + 7 + 27, 5 + 7 + 27 + 16 * 6)


def test_a_premium_namespace_has_no_operations_to_pay_for() -> None:
    assert Meter.SERVICE_BUS_OPERATIONS not in usage(some_counts(), the_profile(deployment__private_network=True))


# -- the store ----------------------------------------------------------------------------------------------------


def test_request_units_follow_the_published_figures() -> None:
    """2 reads, 3 creates, 4 patches, 1 delete, 1 query; 6 KB of documents, 3 KB each on average."""
    units = request_units(some_counts().store, the_prices())
    assert units.low == pytest.approx(2 * 1 + 3 * 6 + 4 * 10 + 5 + 2.5)
    of_size = 3 * (2 * 0.09 + 3 * 0.45 + 4 * 0.9) + 6 * 0.33
    assert units.high == pytest.approx(2 * 1 + 3 * 8 + 4 * 14 + 8 + 3 + of_size)


def test_request_units_that_an_account_charged_are_taken_as_they_are() -> None:
    store = StoreCounts(requests={"read": 1}, documents=(100,), charged=12.5)
    assert request_units(store, the_prices()) == Range.exactly(12.5)


def test_a_request_of_a_kind_that_has_no_price_is_refused_and_not_left_out() -> None:
    with pytest.raises(UncountedRequest, match="what a batch of Cosmos DB costs"):
        request_units(StoreCounts(requests={"batch": 1}), the_prices())


# -- orchestrations -----------------------------------------------------------------------------------------------


def test_actions_are_counted_as_the_scheduler_does() -> None:
    """Its own example, an orchestration of three activities: 1 for the start, 2 for each activity."""
    one = some_counts().model_copy(
        update={
            "durable": some_counts().durable.model_validate(
                {"started": 1, "tasks": 3, "task_results": 3, "turns": 4, "events": 20, "bytes": 1}
            )
        }
    )
    assert actions(one) == 7
    assert usage(some_counts())[Meter.SCHEDULER_ACTIONS] == Range.exactly(2 + 5 + 4 + 1 + 3 + 7 + 1)


def test_orchestrations_in_storage_are_paid_for_by_queue_and_table_and_not_by_action() -> None:
    stored = usage(some_counts(), the_profile(deployment__durable_backend="storage"))
    assert Meter.SCHEDULER_ACTIONS not in stored
    assert stored[Meter.QUEUE_OPERATIONS] == Range(3 * 23, 4 * 23)
    assert stored[Meter.TABLE_OPERATIONS] == Range(3 * 12, 4 * 12)


# -- tokens, logs, what is kept -----------------------------------------------------------------------------------


def test_tokens_are_the_profiles_for_each_call_that_was_counted() -> None:
    profile = the_profile(model__input_tokens=1000, model__output_tokens=50, model__cached_share=0.25)
    used = usage(some_counts(), profile)
    assert [used[meter].low for meter in TokenMeter] == [1500, 500, 100]


def test_tokens_are_those_that_were_counted_when_the_profile_says_so() -> None:
    profile = the_profile(model__input_tokens="measured", model__output_tokens="measured")
    used = usage(some_counts(), profile)
    assert [used[meter].low for meter in TokenMeter] == [700, 0, 90]


def test_logs_are_the_bytes_of_records_spans_and_points_and_what_is_added_to_each() -> None:
    assert usage(some_counts())[Meter.LOG_GIGABYTES] == about(17_000 * 0.75 / 1e9, (17_000 + 77 * 1_000) / 1e9)


def test_documents_are_kept_for_the_retention() -> None:
    kept = usage(some_counts(), the_profile(deployment__retention_days=304))[Meter.COSMOS_GB_MONTHS]
    assert kept == about(6144 / 1e9 * 10)


# -- all of it ----------------------------------------------------------------------------------------------------


@given(given_counts=counts, place=places, by=st.integers(min_value=0, max_value=10**6), stored=st.booleans())
def test_no_meter_falls_when_a_count_grows(given_counts: Counts, place: tuple[str, str], by: int, stored: bool) -> None:
    profile = the_profile(deployment__durable_backend="storage" if stored else "scheduler")
    before, after = usage(given_counts, profile), usage(more(given_counts, place, by), profile)
    for meter, quantity in before.items():
        assert quantity.low <= quantity.high
        assert quantity.low <= after[meter].low
        assert quantity.high <= after[meter].high
