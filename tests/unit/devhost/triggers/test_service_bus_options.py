from datetime import timedelta

import pytest
from pydantic.alias_generators import to_camel

from devhost.errors import StartError
from devhost.host_json import HONOURED
from devhost.triggers.service_bus_options import SECTION, ServiceBusOptions


def test_an_empty_section_means_the_extensions_own_defaults() -> None:
    options = ServiceBusOptions.from_host_json({})
    assert options.max_concurrent_calls == 16
    assert options.max_concurrent_sessions == 8
    assert (options.min_message_batch_size, options.max_message_batch_size) == (1, 1000)
    assert options.max_auto_lock_renewal_duration == timedelta(minutes=5)
    assert options.max_batch_wait_time == timedelta(seconds=30)
    assert options.prefetch_count == 0
    assert options.auto_complete_messages


def test_every_key_of_the_table_is_read() -> None:
    options = ServiceBusOptions.from_host_json(
        {
            "autoCompleteMessages": False,
            "maxAutoLockRenewalDuration": "00:30:00",
            "maxConcurrentCalls": 1,
            "maxConcurrentSessions": 2,
            "maxMessageBatchSize": 30,
            "minMessageBatchSize": 10,
            "maxBatchWaitTime": "00:00:10",
            "prefetchCount": 5,
            "sessionIdleTimeout": "00:00:20",
            "clientRetryOptions": {"maxRetries": 3},
        }
    )
    assert options.model_dump() == {
        "auto_complete_messages": False,
        "max_auto_lock_renewal_duration": timedelta(minutes=30),
        "max_concurrent_calls": 1,
        "max_concurrent_sessions": 2,
        "max_message_batch_size": 30,
        "min_message_batch_size": 10,
        "max_batch_wait_time": timedelta(seconds=10),
        "prefetch_count": 5,
        "session_idle_timeout": timedelta(seconds=20),
    }


def test_the_host_reports_exactly_the_keys_that_are_not_read_as_without_effect() -> None:
    read = {f"{SECTION}.{to_camel(name)}" for name in ServiceBusOptions.model_fields}
    assert read == {key for key in HONOURED if key.startswith(f"{SECTION}.")}


def test_renewal_without_end_is_minus_one_millisecond() -> None:
    assert ServiceBusOptions.from_host_json({"maxAutoLockRenewalDuration": "-00:00:00.0010000"}).renews_without_end


@pytest.mark.parametrize(
    ("section", "named"),
    [
        ({"maxConcurrentCalls": 0}, "maxConcurrentCalls"),
        ({"maxConcurrentCalls": "16"}, "maxConcurrentCalls"),
        ({"prefetchCount": -1}, "prefetchCount"),
        ({"autoCompleteMessages": "yes"}, "autoCompleteMessages"),
        ({"maxAutoLockRenewalDuration": "5 minutes"}, "maxAutoLockRenewalDuration"),
        ({"maxAutoLockRenewalDuration": 300}, "maxAutoLockRenewalDuration"),
        ({"maxAutoLockRenewalDuration": "-00:05:00"}, "maxAutoLockRenewalDuration must not be negative"),
        ({"minMessageBatchSize": 10, "maxMessageBatchSize": 5}, "minMessageBatchSize must not be above"),
        ({"maxBatchWaitTime": "00:02:31"}, "maxBatchWaitTime must be between"),
        ({"sessionIdleTimeout": "00:00:00"}, "sessionIdleTimeout must be above"),
    ],
)
def test_a_value_its_key_does_not_take_is_refused_by_name(section: dict[str, object], named: str) -> None:
    with pytest.raises(StartError, match=r"host\.json: extensions\.serviceBus") as refused:
        ServiceBusOptions.from_host_json(section)
    assert named in str(refused.value)


def test_every_wrong_value_has_a_line_of_its_own() -> None:
    with pytest.raises(StartError) as refused:
        ServiceBusOptions.from_host_json({"maxConcurrentCalls": 0, "prefetchCount": "many"})
    assert len(str(refused.value).splitlines()) == 2
