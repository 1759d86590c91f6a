"""Tests as somebody writes them who has this app: pytest, `devhost.testing`, and nothing else.

`tests/integration/test_testing.py` runs this file in a process of its own, because a process can run one app.
"""

import json
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient

from devhost.testing import AppHost

APP = Path(__file__).parent
BUS = (
    "Endpoint=sb://localhost;SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=SAS_KEY_VALUE;"
    "UseDevelopmentEmulator=true;"
)
REQUEST = {"asked": "ann", "deputy": "bob"}
HOUR = timedelta(hours=1)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def host(tmp_path: Path) -> AsyncIterator[AppHost]:
    async with AppHost(APP, settings={"Bus": BUS}, state_dir=tmp_path) as running:
        ledger().clear()
        yield running


def ledger() -> list[tuple[str, str]]:
    """What the app wrote down: the host has imported it under this name."""
    entries: list[tuple[str, str]] = sys.modules["function_app"].ledger
    return entries


async def begun(host: AppHost) -> str:
    answer = await host.client.post("/api/approvals", json=REQUEST)
    assert answer.status == 202
    instance_id: str = answer.json()["id"]
    return instance_id


async def test_two_days_of_silence_end_at_once_with_a_rejection(host: AppHost) -> None:
    run = await host.finished(await begun(host))
    assert run.output == {"by": None, "answer": "rejected"}
    assert host.clock.now() == datetime(2026, 1, 3, tzinfo=UTC)
    reminded = [(at[:13], person) for at, person in ledger() if person != "good morning"]
    assert reminded == [
        *((f"2026-01-01T{hour:02}", "ann") for hour in (0, 8, 16)),
        *((f"2026-01-02T{hour:02}", "bob") for hour in (0, 8, 16)),
    ]


async def test_a_deputy_who_answers_on_the_second_day_decides(host: AppHost) -> None:
    instance_id = await begun(host)
    await host.advance(30 * HOUR)
    await host.client.post(f"/api/approvals/{instance_id}/approved")
    assert (await host.finished(instance_id)).output == {"by": "bob", "answer": "approved"}
    assert host.clock.now() == datetime(2026, 1, 2, 6, tzinfo=UTC)


async def test_time_stands_still_while_nobody_lets_it_go_by(host: AppHost) -> None:
    instance_id = await begun(host)
    await host.settle()
    run = await host.run(instance_id)
    assert run is not None
    assert (run.status, host.clock.now()) == ("RUNNING", datetime(2026, 1, 1, tzinfo=UTC))


async def test_waiting_for_what_does_not_come_in_time_is_an_error(host: AppHost) -> None:
    with pytest.raises(TimeoutError, match="2026-01-01 05:00"):
        await host.finished(await begun(host), within=5 * HOUR)


async def test_timers_of_the_app_run_at_their_hour(host: AppHost) -> None:
    await host.advance(72 * HOUR)
    assert [at[:16] for at, what in ledger()] == [f"2026-01-0{day}T06:00" for day in (1, 2, 3)]


async def test_a_message_scheduled_for_tomorrow_is_handled_tomorrow(host: AppHost) -> None:
    bus = ServiceBusClient.from_connection_string(host.settings["Bus"])
    async with bus, bus.get_queue_sender("letters") as sender:
        await sender.schedule_messages(ServiceBusMessage("a letter"), datetime(2026, 1, 2, tzinfo=UTC))
    await host.advance(23 * HOUR)
    assert "a letter" not in [what for _, what in ledger()]
    await host.advance(2 * HOUR)
    assert ("2026-01-02T00:00:00", "a letter") in ledger()


async def test_a_message_that_comes_after_days_of_silence_is_handled_at_once(host: AppHost) -> None:
    """The clients' tokens have run out meanwhile: they get new ones before any time goes by."""
    await host.advance(72 * HOUR)
    bus = ServiceBusClient.from_connection_string(host.settings["Bus"])
    async with bus, bus.get_queue_sender("letters") as sender:
        await sender.send_messages(ServiceBusMessage("a late letter"))
    await host.settle()
    assert ("2026-01-04T00:00:00", "a late letter") in ledger()


async def test_a_clock_that_is_set_forward_brings_everything_at_once_and_one_set_back_only_later(host: AppHost) -> None:
    instance_id = await begun(host)
    await host.set_clock(-5 * HOUR)
    await host.advance(49 * HOUR)
    run = await host.run(instance_id)
    assert run is not None
    assert not run.is_over, "two days are over 48 hours after they began, by the clock, which says 44"
    await host.set_clock(10 * HOUR)
    assert (await host.finished(instance_id, within=24 * HOUR)).output == {"by": None, "answer": "rejected"}


async def test_a_client_that_waits_for_messages_waits_in_real_time(host: AppHost) -> None:
    bus = ServiceBusClient.from_connection_string(host.settings["Bus"])
    async with bus, bus.get_queue_receiver("letters", sub_queue="deadletter") as receiver:
        assert await receiver.receive_messages(5, max_wait_time=0.05) == []


@pytest.mark.parametrize(
    "place", ["turn-ended", "turn-applied", "activity-ended", "timer-due", "commit-begins", "commit-done"]
)
async def test_a_crash_of_the_task_hub_loses_nothing(host: AppHost, place: str) -> None:
    instance_id = await begun(host)
    host.crashes.crash_at(place, times=2)
    await host.advance(20 * HOUR)
    assert host.crashes.crashed_at == place
    await host.restart()
    assert (await host.finished(instance_id)).output == {"by": None, "answer": "rejected"}


@pytest.mark.parametrize("place", ["call-received", "commit-begins"])
async def test_a_message_that_a_crash_interrupts_is_delivered_once_more_after_it(host: AppHost, place: str) -> None:
    bus = ServiceBusClient.from_connection_string(host.settings["Bus"])
    message = ServiceBusMessage(json.dumps(REQUEST), message_id="one", content_type="application/json")
    host.crashes.crash_at(place)
    async with bus, bus.get_queue_sender("letters") as sender:
        await sender.send_messages(message)
    await host.settle()
    assert host.crashes.crashed_at == place
    await host.restart()
    assert (await host.finished("one")).output == {"by": None, "answer": "rejected"}
    assert len([what for _, what in ledger() if what == json.dumps(REQUEST)]) == 1


async def test_what_is_kept_is_there_after_a_restart(host: AppHost) -> None:
    instance_id = await begun(host)
    await host.advance(9 * HOUR)
    await host.restart()
    await host.client.post(f"/api/approvals/{instance_id}/approved")
    assert (await host.finished(instance_id)).output == {"by": "ann", "answer": "approved"}


async def test_a_place_that_there_is_not_is_refused(host: AppHost) -> None:
    with pytest.raises(ValueError, match="turn-begins"):
        host.crashes.crash_at("somewhere")


async def test_another_app_cannot_be_tested_in_the_same_process(tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    with pytest.raises(RuntimeError, match="one app in one process"):
        async with AppHost(tmp_path):
            pass
