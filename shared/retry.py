"""When a failed attempt is tried again: a pure decision over the error's type and the attempts made.

A Service Bus trigger's failure means redelivery at once with no wait, so the wait comes from scheduling a copy of
the message instead. Nothing else retries a model call: the model client's own retries are off.
"""

from dataclasses import dataclass
from datetime import timedelta

from shared.errors import RetryableError

MAX_RETRIES = 3
FIRST_OUTAGE_WAIT = timedelta(seconds=5)
LONGEST_OUTAGE_WAIT = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The waits before each further attempt, and the longest wait that another side may ask for.

    Each wait is up to `jitter` of itself longer, so that what failed together does not come back together. There are
    at most `MAX_RETRIES` further attempts; more raise `ValueError`.
    """

    delays: tuple[timedelta, ...] = (timedelta(seconds=5), timedelta(seconds=10), timedelta(seconds=15))
    longest: timedelta = timedelta(minutes=2)
    jitter: float = 0.2

    def __post_init__(self) -> None:
        if len(self.delays) > MAX_RETRIES:
            raise ValueError(f"an agent is tried again at most {MAX_RETRIES} times, not {len(self.delays)}")

    @property
    def attempts(self) -> int:
        """How many attempts there are in all."""
        return len(self.delays) + 1


DEFAULT_RETRIES = RetryPolicy()


def outage_delay(
    postponed: int, error: RetryableError, chance: float = 0.0, policy: RetryPolicy = DEFAULT_RETRIES
) -> timedelta:
    """How long to put a task off that was put off `postponed` times already, because something did not answer.

    5 s at first, twice as long each time, a minute in the end; longer where the other side asks for it, up to
    `policy.longest`. An outage is nobody's attempt: this has no end of its own.
    """
    delay = min(FIRST_OUTAGE_WAIT * (1 << min(postponed, 10)), LONGEST_OUTAGE_WAIT)
    if error.retry_after is not None:
        delay = max(delay, min(error.retry_after, policy.longest))
    return delay * (1 + policy.jitter * chance)


def next_delay(policy: RetryPolicy, attempt: int, error: BaseException, chance: float = 0.0) -> timedelta | None:
    """How long to wait before the attempt after `attempt` (which counts from 1), or None when there is none.

    An error that is not a `RetryableError` ends the attempts. A wait that the other side asked for is kept when it
    is longer than the policy's, up to `policy.longest`. `chance`, from 0 to 1, chooses the jitter.
    """
    if not isinstance(error, RetryableError) or attempt > len(policy.delays):
        return None
    delay = policy.delays[attempt - 1] * (1 + policy.jitter * chance)
    if error.retry_after is None:
        return delay
    return max(delay, min(error.retry_after * (1 + policy.jitter * chance), policy.longest))
