from datetime import timedelta

import pytest

from devhost.errors import StartError
from devhost.triggers.retry import NO_RETRY, retry_policy
from tests.support.fake_invoke import trigger_function


def test_no_policy_means_no_repetition() -> None:
    policy = retry_policy(trigger_function("f", "timerTrigger"))
    assert policy == NO_RETRY
    assert not policy.allows(0)


def test_a_negative_count_of_one_has_no_end() -> None:
    retry = {"max_retry_count": -1, "retry_strategy": "fixed_delay", "delay_interval": timedelta(seconds=3)}
    policy = retry_policy(trigger_function("f", "timerTrigger", retry))
    assert policy.allows(10_000)
    assert policy.delay(10_000) == timedelta(seconds=3)


def test_exponential_backoff_doubles_from_the_shortest_to_the_longest_interval() -> None:
    retry = {
        "max_retry_count": 9,
        "retry_strategy": "exponential_backoff",
        "minimum_interval": timedelta(seconds=4),
        "maximum_interval": timedelta(seconds=20),
    }
    policy = retry_policy(trigger_function("f", "timerTrigger", retry))
    assert [policy.delay(n).total_seconds() for n in (0, 1, 2, 3, 500)] == [4, 8, 16, 20, 20]


@pytest.mark.parametrize(
    ("retry", "named"),
    [
        ({"max_retry_count": 1, "retry_strategy": "linear"}, "linear"),
        ({"max_retry_count": "3", "retry_strategy": "fixed_delay"}, "max_retry_count"),
        ({"max_retry_count": -2, "retry_strategy": "fixed_delay"}, "-2"),
    ],
)
def test_a_policy_that_means_nothing_is_refused_by_name(retry: dict[str, object], named: str) -> None:
    with pytest.raises(StartError, match=named):
        retry_policy(trigger_function("f", "timerTrigger", retry))
