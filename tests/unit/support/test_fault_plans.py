"""Fault plans follow from their seeds alone, and so does what is seen under them; time is virtual."""

import asyncio
from datetime import timedelta

import pytest

from tests.support.fault_plans.observed import Stopped
from tests.support.fault_plans.plan import OPERATIONS, Fault, FaultPlan, Injector, Kind, fault_plan
from tests.support.fault_plans.simulation import carry_out
from tests.support.fault_plans.virtual_time import START, Stuck, VirtualClock, run_virtually

pytestmark = pytest.mark.filterwarnings("ignore:azure.functions df_loads was called:DeprecationWarning")


@pytest.mark.parametrize("pattern", ["parallel", "event-driven", "hierarchical"])
def test_the_same_seed_is_the_same_plan_and_shows_the_same_things(pattern: str) -> None:
    for seed in range(5):
        plan = fault_plan(pattern, seed)
        assert plan == fault_plan(pattern, seed)
        assert carry_out(plan).seen == carry_out(plan).seen


def test_plans_come_to_every_operation_and_every_kind_of_fault() -> None:
    faults = [fault for seed in range(3000) for fault in fault_plan("parallel", seed).faults]
    assert {fault.operation for fault in faults} == set(OPERATIONS)
    assert {fault.kind for fault in faults} == set(Kind)


def test_a_fault_comes_at_its_call_and_as_often_as_it_says() -> None:
    fault = Fault("send", 2, Kind.REFUSED, times=2)
    injector = Injector((fault,))
    assert [injector.next("send") for _ in range(4)] == [None, fault, fault, None]
    assert injector.next("reply") is None


def test_a_process_that_dies_says_no_more() -> None:
    observed = carry_out(FaultPlan("sequential", 0, (Fault("model", 1, Kind.DIES_DURING),)))
    [stopped] = observed.all(Stopped)
    owners = [getattr(each, "owner", "") for each in observed.seen if each.seq > stopped.seq]
    assert not [owner for owner in owners if owner.startswith(f"{stopped.process}/")]


def test_a_day_passes_at_once_and_in_order() -> None:
    async def day() -> list[timedelta]:
        clock, seen = VirtualClock(), []
        for hours in (1, 23):
            await clock.sleep_until(clock.now() + timedelta(hours=hours))
            seen.append(clock.now() - START)
        return seen

    assert run_virtually(day()) == [timedelta(hours=1), timedelta(hours=24)]


def test_what_waits_for_nothing_and_what_goes_round_in_a_circle_is_told() -> None:
    async def forever() -> None:
        while True:
            await asyncio.sleep(0)

    async def for_nobody() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Stuck, match="circle"):
        run_virtually(forever())
    with pytest.raises(Stuck, match="nobody"):
        run_virtually(for_nobody())
