"""When a failed attempt is tried again: by the error's type and the attempts made, and by nothing else."""

from datetime import timedelta

import pytest

from shared.errors import ModelRateLimited, ModelRefused, ModelUnavailable, StoreUnavailable
from shared.retry import DEFAULT_RETRIES, RetryPolicy, next_delay


def seconds(delay: timedelta | None) -> float | None:
    return None if delay is None else delay.total_seconds()


@pytest.mark.parametrize(("attempt", "wait"), [(1, 5), (2, 10), (3, 15), (4, None), (5, None), (100, None)])
def test_a_retryable_error_is_tried_three_times_more_with_growing_waits(attempt: int, wait: float | None) -> None:
    assert seconds(next_delay(DEFAULT_RETRIES, attempt, ModelUnavailable("no answer"))) == wait


@pytest.mark.parametrize(
    "error", [ModelRefused("no"), ValueError("bug"), KeyError("bug"), TimeoutError(), MemoryError()]
)
def test_any_other_error_ends_the_attempts_at_once(error: BaseException) -> None:
    assert next_delay(DEFAULT_RETRIES, 1, error) is None


@pytest.mark.parametrize(
    ("asked", "wait"), [(None, 5), (0, 5), (4.9, 5), (5.1, 5.1), (60, 60), (120, 120), (121, 120), (10**9, 120)]
)
def test_a_wait_that_the_other_side_asked_for_is_kept_when_longer_and_not_absurd(
    asked: float | None, wait: float
) -> None:
    error = ModelRateLimited("slow down", retry_after=None if asked is None else timedelta(seconds=asked))
    assert seconds(next_delay(DEFAULT_RETRIES, 1, error)) == wait


def test_a_wait_that_was_asked_for_makes_no_further_attempt() -> None:
    assert next_delay(DEFAULT_RETRIES, 4, ModelRateLimited("slow down", retry_after=timedelta(seconds=1))) is None


def test_a_policy_counts_its_first_attempt_too() -> None:
    assert DEFAULT_RETRIES.attempts == 4
    assert RetryPolicy(delays=()).attempts == 1
    assert next_delay(RetryPolicy(delays=()), 1, StoreUnavailable("down")) is None
