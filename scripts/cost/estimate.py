"""Counts, prices and a profile make a bill: pure functions, monotone in every count and in every price."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from scripts.cost.counts import Measurement, PatternCounts
from scripts.cost.prices import Meter, PriceTable, Range, TokenMeter
from scripts.cost.profile import Profile
from scripts.cost.standing import Deployed, standing_usage
from scripts.cost.usage import Billed, Terms, Usage, added, scaled

MODEL_SERVICE = "Model"
PER_MODEL = 1_000_000
RUNS = 1000
"""For how many runs the cost of a pattern is told."""


class Unpriced(Exception):
    """The profile asks for something that has no price or was not measured. The text names it."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a bill: how much of what, and dollars."""

    meter: Billed
    service: str
    what: str
    quantity: Range
    cost: Range


@dataclass(frozen=True, slots=True)
class Dominant:
    """The service that costs most, and its share of the whole, at the low and at the high end."""

    low: str
    low_share: float
    high: str
    high_share: float


@dataclass(frozen=True, slots=True)
class PatternCost:
    """`RUNS` runs of a pattern, looks at them included: what they use, at list price with nothing free."""

    pattern: str
    runs: int
    lines: tuple[Line, ...]

    @property
    def total(self) -> Range:
        """Dollars."""
        return total_of(self.lines)


@dataclass(frozen=True, slots=True)
class Bill:
    """A month: what it costs when nothing runs, what with the profile's runs, and each pattern by itself."""

    as_of: date
    idle: tuple[Line, ...]
    month: tuple[Line, ...]
    patterns: tuple[PatternCost, ...]


def estimate(measurement: Measurement, profile: Profile, table: PriceTable, deployed: Deployed) -> Bill:
    """The bill. Raises `Unpriced` and `UncountedRequest`."""
    _check(measurement, profile, table)
    terms = Terms(profile, table)
    each = {name: per_run(counted, terms) for name, counted in measurement.patterns.items()}
    standing = standing_usage(deployed, profile.deployment, table)
    runs = [scaled(each[name], share * profile.runs_per_month) for name, share in profile.mix.items() if share]
    return Bill(
        as_of=table.as_of,
        idle=lines(standing, profile, table, free=True),
        month=lines(added(standing, *runs), profile, table, free=True),
        patterns=tuple(
            PatternCost(
                name, len(measurement.patterns[name].runs), lines(scaled(usage, RUNS), profile, table, free=False)
            )
            for name, usage in each.items()
        ),
    )


def per_run(counted: PatternCounts, terms: Terms) -> Usage:
    """One run of a pattern on average, with the looks at it that the profile expects."""
    runs = added(*(terms.usage(run) for run in counted.runs))
    looks = scaled(_without_documents(terms.usage(counted.look)), terms.profile.looks_per_run)
    return added(scaled(runs, 1 / len(counted.runs)), looks)


def lines(usage: Usage, profile: Profile, table: PriceTable, *, free: bool) -> tuple[Line, ...]:
    """What a usage costs, in the order of the price table; with `free`, after what is free each month."""
    found = [_line(meter, usage[meter], profile, table, free=free) for meter in (*TokenMeter, *Meter) if meter in usage]
    return tuple(line for line in found if line.quantity.high > 0)


def _line(meter: Billed, quantity: Range, profile: Profile, table: PriceTable, *, free: bool) -> Line:
    if isinstance(meter, TokenMeter):
        dollars = getattr(table.models[profile.model.name], meter.value) / PER_MODEL
        what = f"tokens {'out' if meter is TokenMeter.OUTPUT else 'in'}, {profile.model.name}"
        return Line(
            meter, MODEL_SERVICE, what + (", cached" * (meter is TokenMeter.CACHED)), quantity, quantity.times(dollars)
        )
    price = table.prices[meter]
    grants = profile.deployment.free_grants or price.free_of == "namespace"
    return Line(meter, price.service, price.what, quantity, price.cost(quantity, free=free and grants))


def total_of(bill: Sequence[Line]) -> Range:
    """Dollars of all lines."""
    total = Range.exactly(0)
    for line in bill:
        total += line.cost
    return total


def by_service(bill: Sequence[Line]) -> Mapping[str, Range]:
    """Dollars by service, in the order of the lines."""
    sums: dict[str, Range] = {}
    for line in bill:
        sums[line.service] = sums.get(line.service, Range.exactly(0)) + line.cost
    return sums


def dominant(bill: Sequence[Line]) -> Dominant | None:
    """What costs most; None when nothing costs anything."""
    sums, total = by_service(bill), total_of(bill)
    if total.low <= 0 or total.high <= 0:
        return None
    low = max(sums, key=lambda service: sums[service].low)
    high = max(sums, key=lambda service: sums[service].high)
    return Dominant(low, sums[low].low / total.low, high, sums[high].high / total.high)


def _without_documents(usage: Usage) -> Usage:
    """Looking at documents leaves none."""
    return {meter: quantity for meter, quantity in usage.items() if meter is not Meter.COSMOS_GB_MONTHS}


def _check(measurement: Measurement, profile: Profile, table: PriceTable) -> None:
    if profile.model.name not in table.models:
        known = ", ".join(table.models)
        raise Unpriced(f"model.name: the price table does not know {profile.model.name!r}, only {known}")
    for pattern, share in profile.mix.items():
        if share and pattern not in measurement.patterns:
            raise Unpriced(f"mix.{pattern}: this pattern was not measured")
