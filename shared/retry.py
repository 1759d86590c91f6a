"""When a failed attempt is tried again: a pure decision over the error's type and the attempts made.

A Service Bus trigger's failure means redelivery at once with no wait, so the wait comes from scheduling a copy of
the message instead. Nothing else retries a model call: the model client's own retries are off.
"""

from dataclasses import dataclass
from datetime import timedelta

from shared.errors import RetryableError


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The waits before each further attempt, and the longest wait that another side may ask for."""

    delays: tuple[timedelta, ...] = (timedelta(seconds=5), timedelta(seconds=10), timedelta(seconds=15))
    longest: timedelta = timedelta(minutes=2)

    @property
    def attempts(self) -> int:
        """How many attempts there are in all."""
        return len(self.delays) + 1


DEFAULT_RETRIES = RetryPolicy()


def next_delay(policy: RetryPolicy, attempt: int, error: BaseException) -> timedelta | None:
    """How long to wait before the attempt after `attempt` (which counts from 1), or None when there is none.

    An error that is not a `RetryableError` ends the attempts. A wait that the other side asked for is kept when it
    is longer than the policy's, up to `policy.longest`.
    """
    if not isinstance(error, RetryableError) or attempt > len(policy.delays):
        return None
    delay = policy.delays[attempt - 1]
    if error.retry_after is None:
        return delay
    return min(max(delay, error.retry_after), policy.longest)
