"""A token bucket never lets more through than its rate and its size allow, and keeps nobody waiting for less."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from shared.llm.rate_limit import TokenBucket

START = datetime(2026, 1, 1, tzinfo=UTC)


def test_what_is_saved_up_may_be_used_at_once() -> None:
    bucket = TokenBucket.full(60, START)
    assert [bucket.take(1, START) for _ in range(60)] == [timedelta(0)] * 60


def test_what_is_not_there_yet_is_waited_for_in_the_order_of_coming() -> None:
    bucket = TokenBucket.full(60, START)
    bucket.take(60, START)
    assert [bucket.take(1, START).total_seconds() for _ in range(3)] == [1, 2, 3]


def test_what_is_given_back_shortens_the_next_wait() -> None:
    bucket = TokenBucket.full(60, START)
    bucket.take(60, START)
    bucket.give_back(10, START)
    assert bucket.take(10, START) == timedelta(0)


def test_an_amount_over_the_size_waits_for_a_minute_and_not_for_ever() -> None:
    assert TokenBucket.full(60, START).take(10_000, START) == timedelta(minutes=1)


def test_a_clock_that_is_set_back_earns_nothing_and_takes_nothing_away() -> None:
    bucket = TokenBucket.full(60, START)
    bucket.take(30, START)
    bucket.give_back(0, START - timedelta(hours=1))
    assert bucket.take(30, START - timedelta(hours=1)) == timedelta(0)


@given(st.lists(st.tuples(st.integers(1, 20), st.integers(0, 30)), min_size=1, max_size=60))
def test_no_stretch_of_time_sees_more_than_the_size_and_what_flowed_in_meanwhile(
    takes: list[tuple[int, int]],
) -> None:
    """Each pair is an amount, and the seconds until the next is asked for."""
    bucket, now = TokenBucket.full(60, START), START
    used: list[tuple[datetime, int]] = []
    for amount, pause in takes:
        used.append((now + bucket.take(amount, now), amount))
        now += timedelta(seconds=pause)
    used.sort()
    for first, (begin, _) in enumerate(used):
        for last, (end, _) in enumerate(used[first:], start=first):
            through = sum(amount for _, amount in used[first : last + 1])
            # The first of a stretch may have been earned before the stretch began.
            assert through <= 60 + (end - begin).total_seconds() + used[first][1] + 1e-6
