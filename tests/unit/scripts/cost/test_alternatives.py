"""What the month would be with one thing chosen otherwise."""

import pytest

from scripts.cost.alternatives import alternatives
from scripts.cost.estimate import estimate, total_of
from tests.support.cost_examples import DEPLOYED, a_measurement, the_prices, the_profile


def months(**changes: object) -> dict[str, object]:
    found = alternatives(a_measurement(), the_profile(**changes), the_prices(), DEPLOYED)
    return {each.choice: each.month for each in found}


@pytest.mark.parametrize(
    ("choice", "changes"),
    [
        ("orchestrations in the storage account", {"deployment__durable_backend": "storage"}),
        ("a private network", {"deployment__private_network": True}),
        ("1 always ready for HTTP", {"deployment__always_ready_http": 1}),
        ("eight executions at once on an instance", {"deployment__executions_at_once": 8.0}),
        ("the model gpt-6-luna", {"model__name": "gpt-6-luna"}),
    ],
)
def test_each_is_the_month_of_a_profile_that_says_so(choice: str, changes: dict[str, object]) -> None:
    bill = estimate(a_measurement(), the_profile(**changes), the_prices(), DEPLOYED)
    assert months()[choice] == total_of(bill.month)


def test_what_is_chosen_already_is_offered_the_other_way_round() -> None:
    offered = months(deployment__durable_backend="storage", deployment__private_network=True)
    assert "orchestrations in the Durable Task Scheduler" in offered
    assert "no private network" in offered
    assert "the model gpt-5-mini" not in offered


def test_the_cheapest_comes_first() -> None:
    highs = [each.month.high for each in alternatives(a_measurement(), the_profile(), the_prices(), DEPLOYED)]
    assert highs == sorted(highs)
