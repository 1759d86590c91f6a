"""A trigger that cannot receive says so while it waits for its next try: until then its messages wait for time."""

from datetime import timedelta

from devhost.clock import ManualClock
from devhost.triggers.service_bus import ServiceBusTrigger, build_service_bus_triggers
from devhost.triggers.service_bus_receiver import EntityUnavailable
from tests.support.eventually import eventually
from tests.support.fake_invoke import FakeInvoke, trigger_function
from tests.support.fake_receiver import FakeEntity

SETTINGS = {"Bus": "Endpoint=sb://localhost;SharedAccessKeyName=R;SharedAccessKey=k;UseDevelopmentEmulator=true"}


async def test_a_trigger_rests_from_a_failure_to_its_next_try_and_then_receives_what_waited() -> None:
    entity, invoke = FakeEntity(ManualClock()), FakeInvoke()
    entity.failures["receive"].append(EntityUnavailable("the queue is disabled"))
    entity.put("a letter")
    function = trigger_function("f", "serviceBusTrigger", connection="Bus", queueName="q")
    [trigger] = build_service_bus_triggers([function], SETTINGS, {}, invoke, entity.clock, connect=lambda *_: entity)
    assert isinstance(trigger, ServiceBusTrigger)
    await trigger.start()
    try:
        await eventually(lambda: trigger.resting)
        assert entity.completed == []
        assert isinstance(entity.clock, ManualClock)
        entity.clock.advance(timedelta(seconds=1))
        await eventually(lambda: entity.completed == [1])
        assert not trigger.resting
    finally:
        await trigger.stop()
