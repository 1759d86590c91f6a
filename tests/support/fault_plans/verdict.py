"""Whether a plan was survived: carried out, looked at, and told in words from which it can be repeated."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.fault_plans.app import SOUND, Parts
from tests.support.fault_plans.evidence import Breach, Evidence
from tests.support.fault_plans.plan import FaultPlan, fault_plan
from tests.support.fault_plans.promises import breaches
from tests.support.fault_plans.simulation import asked_of, carry_out

_SHOWN = 10


def verdict(plan: FaultPlan, parts: Parts = SOUND) -> list[Breach]:
    """The promises that an app made of `parts` does not keep under `plan`."""
    with quiet():
        return breaches(Evidence(plan, asked_of(plan), carry_out(plan, parts)))


def first_breaches(pattern: str, seeds: Iterator[int], parts: Parts = SOUND) -> tuple[FaultPlan, list[Breach]] | None:
    """The first plan of these seeds under which a promise is broken, and which; None when all are kept."""
    for seed in seeds:
        plan = fault_plan(pattern, seed)
        found = verdict(plan, parts)
        if found:
            return plan, found
    return None


def told(plan: FaultPlan, found: list[Breach]) -> str:
    """A plan that was not survived, in words."""
    broken = "\n".join(f"{each.promise}: {each.how}" for each in found[:_SHOWN])
    again = f"--fault-plans 1 --fault-seed {plan.seed} -k {plan.pattern.title().replace('-', '')}"
    return (
        f"{plan}\n{plan.pattern} run: {asked_of(plan).model_dump(exclude_defaults=True)}\n{broken}\nagain with: {again}"
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Thousands of faults are logged; nobody reads that."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
