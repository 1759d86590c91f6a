"""What the month would cost if one thing were chosen otherwise: the choices of a profile, one at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from scripts.cost.counts import Measurement
from scripts.cost.estimate import estimate, total_of
from scripts.cost.prices import PriceTable, Range
from scripts.cost.profile import Profile
from scripts.cost.standing import Deployed


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another choice, and dollars for the whole month with it."""

    choice: str
    month: Range


def alternatives(
    measurement: Measurement, profile: Profile, table: PriceTable, deployed: Deployed
) -> tuple[Alternative, ...]:
    """The month for each other choice, the cheapest first at its high end."""
    found = [
        Alternative(choice, total_of(estimate(measurement, other, table, deployed).month))
        for choice, other in _others(profile, table)
    ]
    return tuple(sorted(found, key=lambda each: (each.month.high, each.month.low)))


def _others(profile: Profile, table: PriceTable) -> Iterator[tuple[str, Profile]]:
    chosen = profile.deployment
    if chosen.durable_backend == "scheduler":
        yield "orchestrations in the storage account", _deployed(profile, durable_backend="storage")
    else:
        yield "orchestrations in the Durable Task Scheduler", _deployed(profile, durable_backend="scheduler")
    if chosen.private_network:
        yield "no private network", _deployed(profile, private_network=False)
    else:
        yield "a private network", _deployed(profile, private_network=True)
    ready = chosen.always_ready_http + 1
    yield f"{ready} always ready for HTTP", _deployed(profile, always_ready_http=ready)
    yield "eight executions at once on an instance", _deployed(profile, executions_at_once=8.0)
    for name in table.models:
        if name != profile.model.name:
            yield (
                f"the model {name}",
                profile.model_copy(update={"model": profile.model.model_copy(update={"name": name})}),
            )


def _deployed(profile: Profile, **changes: Any) -> Profile:
    return profile.model_copy(update={"deployment": profile.deployment.model_copy(update=changes)})
