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
