"""What keeps circuits: conditional writes, so that of any number of instances one lets the probe through."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from devhost.clock import ManualClock
from shared.breaker import CircuitBreaker
from shared.circuit import Admitted, Circuit, CircuitState, Refused
from shared.errors import StateCorrupted
from shared.state.circuits import CircuitStore, circuit_of
from shared.state.cosmos_circuits import CosmosCircuits
from shared.state.sqlite_circuits import SqliteCircuits
from tests.support.cosmos_account import Account, fresh_database
from tests.support.documents import NOW

type Open = Callable[[], CircuitStore]

NAME = "agent.writer"
INSTANCES = 12


@pytest.fixture(params=["sqlite", "cosmos"])
async def open_store(request: pytest.FixtureRequest, cosmos_account: Account, tmp_path: Path) -> AsyncIterator[Open]:
    """Opens stores over the same data, as several processes would."""
    opened: list[CircuitStore] = []

    def keep(store: CircuitStore) -> CircuitStore:
        opened.append(store)
        return store

    if request.param == "sqlite":
        yield lambda: keep(SqliteCircuits(tmp_path / "data" / "circuits.db"))
        return
    async with fresh_database(cosmos_account) as connection:
        yield lambda: keep(CosmosCircuits(connection))
        for store in opened:
            await store.close()


async def test_a_circuit_that_nobody_wrote_is_not_there(open_store: Open) -> None:
    store = open_store()
    assert await store.read(NAME) is None
    assert await store.read_all() == ()


async def test_what_one_instance_writes_the_others_read(open_store: Open) -> None:
    here, there = open_store(), open_store()
    written = [Circuit(name=name, failures=(NOW,), cause="bröken") for name in ("agent.writer", "model.localhost")]
    for circuit in reversed(written):
        assert await here.write(circuit, None)
    assert [stored.circuit for stored in await there.read_all()] == written
    stored = await there.read(NAME)
    assert stored is not None
    assert stored.circuit == written[0]


async def test_of_two_that_read_the_same_only_the_first_to_write_succeeds(open_store: Open) -> None:
    here, there = open_store(), open_store()
    assert await here.write(Circuit(name=NAME), None)
    assert not await there.write(Circuit(name=NAME, cause="late"), None)
    first, second = await here.read(NAME), await there.read(NAME)
    assert first is not None
    assert second is not None
    assert await here.write(Circuit(name=NAME, cause="first"), first.version)
    assert not await there.write(Circuit(name=NAME, cause="second"), second.version)
    kept = await there.read(NAME)
    assert kept is not None
    assert kept.circuit.cause == "first"


async def test_after_the_pause_exactly_one_of_many_instances_lets_a_probe_through(open_store: Open) -> None:
    clock = ManualClock(NOW)
    instances = [CircuitBreaker(open_store(), clock) for _ in range(INSTANCES)]
    for number in range(5):
        await instances[number].failed(NAME, "broken")
    assert {type(await each.admit(NAME)) for each in instances} == {Refused}

    for _ in range(2):
        clock.advance(timedelta(seconds=60))
        answers = await asyncio.gather(*(each.admit(NAME) for each in instances for _ in range(3)))
        assert [answer.is_probe for answer in answers if isinstance(answer, Admitted)] == [True]
        assert {type(await each.admit(NAME)) for each in instances} == {Refused}
        await instances[0].failed(NAME, "broken still")

    clock.advance(timedelta(seconds=60))
    await asyncio.gather(*(each.admit(NAME) for each in instances))
    await instances[-1].succeeded(NAME)
    clock.advance(timedelta(seconds=2))
    assert [await each.admit(NAME) for each in instances] == [Admitted()] * INSTANCES


async def test_failures_that_many_instances_report_at_once_are_all_counted(open_store: Open) -> None:
    clock = ManualClock(NOW)
    instances = [CircuitBreaker(open_store(), clock) for _ in range(5)]
    await asyncio.gather(*(each.failed(NAME, "broken") for each in instances))
    assert (await instances[0].read(NAME)).state is CircuitState.OPEN


async def test_a_circuit_that_cannot_be_read_is_said_to_be_corrupt() -> None:
    with pytest.raises(StateCorrupted, match="circuit"):
        circuit_of('{"name": 5}')
