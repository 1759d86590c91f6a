"""The breaker costs a healthy agent nothing, counts what says something of who was called, and never stops work."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from devhost.clock import ManualClock
from shared.breaker import CircuitBreaker, blames_agent, refusal
from shared.circuit import Admitted, Circuit, CircuitState, Refused
from shared.errors import (
    AgentOutputInvalid,
    AgentTimedOut,
    BusUnavailable,
    CircuitIsOpen,
    InvalidRequest,
    ModelAnswerInvalid,
    ModelRateLimited,
    ModelRefused,
    ModelUnavailable,
    MusterError,
    StoreUnavailable,
)
from shared.llm.breaking import CircuitedModel
from shared.llm.model import ModelReply, ModelRequest
from shared.llm.scripted import ScriptedModel
from shared.state.circuits import StoredCircuit
from shared.state.sqlite_circuits import SqliteCircuits
from tests.support.app_world import USAGE
from tests.support.documents import NOW, after
from tests.support.kept_telemetry import KeptTelemetry

NAME = "agent.writer"
REQUEST = ModelRequest(system="s", user="u", max_output_tokens=5, timeout=timedelta(seconds=5))


class CountingCircuits:
    """Circuits in a file, whose reads and writes are counted; while `broken` none is answered."""

    def __init__(self, path: Path) -> None:
        self._inner = SqliteCircuits(path)
        self.reads = self.writes = 0
        self.broken = False

    def _answer(self) -> None:
        if self.broken:
            raise StoreUnavailable("down")

    async def read(self, name: str) -> StoredCircuit | None:
        self._answer()
        self.reads += 1
        return await self._inner.read(name)

    async def read_all(self) -> tuple[StoredCircuit, ...]:
        self._answer()
        self.reads += 1
        return await self._inner.read_all()

    async def write(self, circuit: Circuit, version: str | None) -> bool:
        self._answer()
        self.writes += 1
        return await self._inner.write(circuit, version)

    async def close(self) -> None:
        await self._inner.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def store(tmp_path: Path) -> CountingCircuits:
    return CountingCircuits(tmp_path / "circuits.db")


@pytest.fixture
def breaker(store: CountingCircuits, clock: ManualClock) -> CircuitBreaker:
    return CircuitBreaker(store, clock)


async def fail(breaker: CircuitBreaker, times: int, name: str = NAME) -> None:
    for _ in range(times):
        await breaker.failed(name, "broken")


async def test_a_thousand_calls_of_healthy_agents_cost_one_read_and_no_write(
    breaker: CircuitBreaker, store: CountingCircuits
) -> None:
    for number in range(1000):
        assert await breaker.admit(f"agent.a{number % 20}") == Admitted()
        await breaker.succeeded(f"agent.a{number % 20}")
    assert (store.reads, store.writes) == (1, 0)


async def test_many_that_ask_at_once_read_once(breaker: CircuitBreaker, store: CountingCircuits) -> None:
    await asyncio.gather(*(breaker.admit(NAME) for _ in range(100)))
    assert store.reads == 1


async def test_five_failures_open_it_and_a_success_after_the_pause_closes_it(
    breaker: CircuitBreaker, clock: ManualClock
) -> None:
    await fail(breaker, 4)
    assert await breaker.admit(NAME) == Admitted()
    await fail(breaker, 1)
    assert await breaker.admit(NAME) == Refused(after(60))
    clock.advance(timedelta(seconds=60))
    answer = await breaker.admit(NAME)
    assert isinstance(answer, Admitted)
    assert answer.is_probe
    await breaker.succeeded(NAME)
    assert await breaker.admit(NAME) == Admitted()


async def test_one_agents_circuit_leaves_the_others_alone(breaker: CircuitBreaker) -> None:
    await fail(breaker, 5)
    assert await breaker.admit("agent.editor") == Admitted()


async def test_a_store_that_does_not_answer_lets_calls_through_and_reports_raise_nothing(
    breaker: CircuitBreaker, store: CountingCircuits
) -> None:
    await fail(breaker, 5)
    store.broken = True
    await fail(breaker, 1)
    await breaker.succeeded(NAME)
    assert await CircuitBreaker(store, ManualClock(NOW)).admit(NAME) == Admitted()


async def test_what_a_person_holds_is_seen_by_other_processes_within_two_seconds(
    breaker: CircuitBreaker, store: CountingCircuits, clock: ManualClock
) -> None:
    other = CircuitBreaker(store, clock)
    assert await other.admit(NAME) == Admitted()
    await breaker.force(NAME, CircuitState.OPEN)
    clock.advance(timedelta(seconds=2))
    assert await other.admit(NAME) == Refused(None)
    await breaker.force(NAME, None)
    clock.advance(timedelta(seconds=2))
    assert await other.admit(NAME) == Admitted()


@pytest.mark.parametrize(
    ("error", "blamed"),
    [
        (AgentTimedOut("slow"), True),
        (ModelUnavailable("away"), True),
        (ModelAnswerInvalid("rubbish"), True),
        (AgentOutputInvalid("no JSON"), True),
        (KeyError("a fault in the agent"), True),
        (ModelRateLimited("429"), False),
        (ModelRefused("content filter"), False),
        (CircuitIsOpen("the model's"), False),
        (InvalidRequest("its input"), False),
        (StoreUnavailable("down"), False),
        (BusUnavailable("down"), False),
        (asyncio.CancelledError(), False),
    ],
)
def test_only_what_says_something_of_the_agent_counts_against_it(error: BaseException, blamed: bool) -> None:
    assert blames_agent(error) is blamed


def test_a_refusal_says_when_to_try_again() -> None:
    assert "try again at 2026-01-01T12:01:00+00:00" in refusal(NAME, Refused(after(60))).message
    assert "held open by a person" in refusal(NAME, Refused(None)).message


async def test_an_endpoint_that_is_away_is_not_asked_again_until_its_pause_is_over(
    breaker: CircuitBreaker, clock: ManualClock
) -> None:
    said: list[MusterError | ModelReply] = [ModelUnavailable("away")]
    scripted = ScriptedModel(lambda _: said[0])
    model = CircuitedModel(scripted, breaker, clock, lambda: "model.example.org")
    for _ in range(5):
        with pytest.raises(ModelUnavailable):
            await model.complete(REQUEST)
    with pytest.raises(CircuitIsOpen, match=r"model\.example\.org") as refused:
        await model.complete(REQUEST)
    assert refused.value.retry_after == timedelta(seconds=60)
    assert len(scripted.requests) == 5

    clock.advance(timedelta(seconds=60))
    said[0] = ModelReply("Back.", USAGE)
    assert (await model.complete(REQUEST)).text == "Back."
    assert (await breaker.read("model.example.org")).state is CircuitState.CLOSED


@pytest.mark.parametrize("error", [ModelRateLimited("429"), ModelRefused("no")])
async def test_an_endpoint_that_answers_with_a_refusal_is_there(
    breaker: CircuitBreaker, clock: ManualClock, error: MusterError
) -> None:
    model = CircuitedModel(ScriptedModel(lambda _: error), breaker, clock, lambda: "model.example.org")
    for _ in range(6):
        with pytest.raises(type(error)):
            await model.complete(REQUEST)
    assert await breaker.admit("model.example.org") == Admitted()


async def test_a_probe_that_is_called_off_makes_room_for_another(breaker: CircuitBreaker, clock: ManualClock) -> None:
    class Silent:
        async def complete(self, _: ModelRequest) -> ModelReply:
            await asyncio.Event().wait()
            raise AssertionError

        async def close(self) -> None:
            """Nothing is held open."""

    name = "model.example.org"
    await fail(breaker, 5, name)
    clock.advance(timedelta(seconds=60))
    call = asyncio.ensure_future(CircuitedModel(Silent(), breaker, clock, lambda: name).complete(REQUEST))
    while (await breaker.read(name)).state is not CircuitState.HALF_OPEN:
        await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (await breaker.read(name)).state is CircuitState.OPEN


async def test_observers_see_how_a_circuit_stands_after_each_change_and_each_look(
    store: CountingCircuits, clock: ManualClock
) -> None:
    kept = KeptTelemetry()
    breaker = CircuitBreaker(store, clock, telemetry=kept)

    def level() -> float:
        [(about, value)] = kept.measured()["muster.circuit.state"]
        assert about == {"muster.circuit": NAME}
        return value

    await fail(breaker, 1)
    assert level() == 0
    await fail(breaker, 4)
    assert level() == 2
    clock.advance(timedelta(seconds=60))
    await breaker.admit(NAME)
    assert level() == 1
    await breaker.succeeded(NAME)
    assert level() == 0
    another = KeptTelemetry()
    await CircuitBreaker(store, clock, telemetry=another).admit("agent.editor")
    assert another.measured()["muster.circuit.state"] == [({"muster.circuit": NAME}, 0)]
