"""A function's own retry policy (`@app.retry`), which Azure applies to timer triggers and not to Service Bus ones.

A failed call is made again after a fixed or a doubling delay, in place, before the trigger counts it as done.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from devhost.errors import StartError
from devhost.worker.model import FunctionMetadata, InvocationResult

_STRATEGIES: Final = {"fixed_delay": False, "exponential_backoff": True}
_WITHOUT_END: Final = -1
_LONGEST: Final = timedelta(seconds=2**31 - 1)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often to try again (-1: without end), and how long to wait before each time."""

    max_retries: int
    shortest: timedelta
    longest: timedelta
    doubling: bool

    def allows(self, retries: int) -> bool:
        """Whether a call that was already repeated `retries` times may be repeated once more."""
        return self.max_retries == _WITHOUT_END or retries < self.max_retries

    def delay(self, retries: int) -> timedelta:
        """How long to wait before repetition number `retries + 1`."""
        if not self.doubling:
            return self.shortest
        doublings = min(retries, 31)
        return min(self.shortest * (1 << doublings), self.longest)


NO_RETRY: Final = RetryPolicy(0, timedelta(0), timedelta(0), doubling=False)


def retry_policy(function: FunctionMetadata) -> RetryPolicy:
    """The policy of `function`, or `NO_RETRY`. Raises `StartError` for a strategy or a count that means nothing."""
    options = function.retry
    if not options:
        return NO_RETRY
    strategy = str(options.get("retry_strategy"))
    if strategy not in _STRATEGIES:
        raise StartError(
            f"function '{function.name}': the retry strategy '{strategy}' is not one of {', '.join(_STRATEGIES)}"
        )
    count = options.get("max_retry_count")
    if not isinstance(count, int) or count < _WITHOUT_END:
        raise StartError(
            f"function '{function.name}': max_retry_count must be a number, or -1 for no end, not {count!r}"
        )
    doubling = _STRATEGIES[strategy]
    shortest = options.get("minimum_interval" if doubling else "delay_interval") or timedelta(0)
    return RetryPolicy(count, shortest, options.get("maximum_interval") or _LONGEST, doubling)


async def with_retries(
    call: Callable[[], Awaitable[InvocationResult]],
    policy: RetryPolicy,
    wait: Callable[[timedelta], Awaitable[bool]],
) -> InvocationResult:
    """Make the call, and again while it fails and `policy` allows; the last result.

    `wait` sleeps for a duration and says whether to go on: False ends the repetitions, as at a stop.
    """
    retries = 0
    while True:
        result = await call()
        if result.succeeded or not policy.allows(retries) or not await wait(policy.delay(retries)):
            return result
        retries += 1
