"""`extensions.serviceBus` of `host.json`: the keys with a meaning here, with the Service Bus extension's own defaults.

The fields of `ServiceBusOptions` are the whole table. The host reports every other key of the file as without effect.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from devhost.errors import StartError
from devhost.triggers.timespan import parse_timespan

SECTION: Final = "extensions.serviceBus"
_INFINITE: Final = timedelta(milliseconds=-1)
_LONGEST_BATCH_WAIT: Final = timedelta(seconds=150)


def _timespan(value: object) -> object:
    return parse_timespan(value) if isinstance(value, str) else value


type _Span = Annotated[timedelta, BeforeValidator(_timespan)]


class ServiceBusOptions(BaseModel):
    """How Service Bus triggers receive. Durations are TimeSpan texts in the file."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, alias_generator=to_camel, populate_by_name=True)

    auto_complete_messages: bool = True
    #: How long a lock is renewed while the function runs, for single messages and sessions; -00:00:00.001: without end.
    max_auto_lock_renewal_duration: _Span = timedelta(minutes=5)
    max_concurrent_calls: int = Field(default=16, ge=1)
    max_concurrent_sessions: int = Field(default=8, ge=1)
    max_message_batch_size: int = Field(default=1000, ge=1)
    min_message_batch_size: int = Field(default=1, ge=1)
    #: How long to wait for the smallest batch before a smaller one is taken.
    max_batch_wait_time: _Span = timedelta(seconds=30)
    prefetch_count: int = Field(default=0, ge=0)
    #: How long a session without messages is kept; the extension's default is the client's try timeout.
    session_idle_timeout: _Span = timedelta(minutes=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.min_message_batch_size > self.max_message_batch_size:
            raise ValueError("minMessageBatchSize must not be above maxMessageBatchSize")
        if not timedelta(0) <= self.max_batch_wait_time <= _LONGEST_BATCH_WAIT:
            raise ValueError("maxBatchWaitTime must be between 00:00:00 and 00:02:30")
        if self.max_auto_lock_renewal_duration < timedelta(0) and not self.renews_without_end:
            raise ValueError("maxAutoLockRenewalDuration must not be negative")
        if self.session_idle_timeout <= timedelta(0):
            raise ValueError("sessionIdleTimeout must be above 00:00:00")
        return self

    @property
    def renews_without_end(self) -> bool:
        """Whether locks are renewed for as long as the function runs."""
        return self.max_auto_lock_renewal_duration == _INFINITE

    @classmethod
    def from_host_json(cls, section: Mapping[str, Any]) -> Self:
        """Read the section.

        Raises `StartError` with one line for each value that is not what its key takes.
        """
        try:
            return cls.model_validate(dict(section))
        except ValidationError as invalid:
            lines = []
            for error in invalid.errors():
                where = ".".join((SECTION, *map(str, error["loc"])))
                given = f", not {error['input']!r}" if error["loc"] else ""
                lines.append(f"host.json: {where}: {error['msg'].removeprefix('Value error, ')}{given}")
            raise StartError("\n".join(lines)) from invalid
