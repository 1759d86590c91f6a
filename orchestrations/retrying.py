"""How activities that touch a store, the bus or the task hub are tried again."""

from datetime import timedelta

from durabletask.task import RetryPolicy

# They come back within seconds or not for long; a run should outlive the first kind.
ACTIVITY_RETRY = RetryPolicy(
    first_retry_interval=timedelta(seconds=1),
    max_number_of_attempts=6,
    backoff_coefficient=2,
    max_retry_interval=timedelta(seconds=30),
)

# Without these a run would never end, or its end be known to nobody: they outlast a store that is away for a day.
STORE_RETRY = RetryPolicy(
    first_retry_interval=timedelta(seconds=1),
    max_number_of_attempts=300,
    backoff_coefficient=2,
    max_retry_interval=timedelta(minutes=5),
)
